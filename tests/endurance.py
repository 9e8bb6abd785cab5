"""Hours of what a product meets: models come and go, bad input, full disks, signals, forks. Answers and memory stay.

    python tests/endurance.py [--minutes 30] [--threads 4] [--seed 1] [MODEL...]        # or: make soak MINUTES=30

Threads run frames of several models at once, each model from its own slot, which is emptied and filled anew (with
another number of threads) while they run. Between the frames come the faults of `FAULTS`, in random order, one at a
time; each must end as its function says. Beside the shipped models: YOLO-LITE with random weights, and MODEL... .
Prints a line every half minute and the sums at the end. The exit status is 1 where an answer differed, a fault ended
otherwise than it should, or memory, file descriptors or threads grew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import edgecnn
from edgecnn.errors import ClosedError, EdgeCNNError
from edgecnn.images import read_image
from edgecnn.zoo.cache import resolve

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURES = 3  # different inputs of each model
# What the allocator may keep for one thread more or less, and Python in its caches.
ALLOWED_GROWTH = 16 << 20
DAMAGED_BYTES = 1 << 20  # larger files are not copied for each fault


class Failure(Exception):
    """A fault that did not end as it should."""


class Slot:
    """One model, the answers it gives, and the predictor that runs it at the moment."""

    def __init__(self, path: str, weights: str | None) -> None:
        self.path, self.weights = path, weights
        rng = np.random.default_rng(3)
        self.predictor = self.load(1)
        self.inputs = [
            {s.name: rng.random(s.shape, np.float32).astype(s.dtype) for s in self.predictor.inputs}
            for _ in range(PICTURES)
        ]
        self.expected = [as_bytes(self.predictor.run(x)) for x in self.inputs]

    def load(self, threads: int) -> edgecnn.Predictor:
        return edgecnn.load(self.path, self.weights, backend="native", threads=threads)

    def swap(self, threads: int) -> None:
        """Another predictor takes the place; the old one is closed under whoever runs it."""
        old, self.predictor = self.predictor, self.load(threads)
        old.close()

    def frame(self, picture: int) -> bool:
        """Whether the answer is the first one, of whichever predictor stands here."""
        while True:
            with contextlib.suppress(ClosedError):
                return as_bytes(self.predictor.run(self.inputs[picture])) == self.expected[picture]


def as_bytes(outputs: dict[str, np.ndarray]) -> list[bytes]:
    return [array.tobytes() for array in outputs.values()]


class Faults:
    """Everything that goes wrong on purpose, a method each. What does not end as it should raises `Failure`."""

    def __init__(self, slots: list[Slot], folder: Path, rng: random.Random) -> None:
        self.slots, self.folder, self.rng = slots, folder, rng
        self.detector = edgecnn.Detector("digits")
        self.picture = (REPOSITORY / "models" / "demo.png").read_bytes()
        self.scene = read_image(REPOSITORY / "models" / "demo.png")
        self.found = self.detector(self.scene).xyxy.tobytes()

    def all(self) -> list[Callable[[], None]]:
        return [
            *[self.wrong_shape, self.wrong_type, self.not_a_number, self.damaged_model, self.damaged_picture],
            *[self.empty_picture, self.full_disk, self.read_only, self.interrupted, self.signals, self.fork, self.swap],
        ]

    def refused(self, call: Callable[[], object]) -> None:
        try:
            call()
        except EdgeCNNError:
            return
        raise Failure("no error")

    def tolerated(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(EdgeCNNError):
            call()

    def slot(self) -> Slot:
        return self.rng.choice(self.slots)

    def wrong_shape(self) -> None:
        slot = self.slot()
        self.refused(lambda: slot.predictor.run({k: v[..., :-1] for k, v in slot.inputs[0].items()}))

    def wrong_type(self) -> None:
        slot = self.slot()
        self.refused(lambda: slot.predictor.run({k: v.astype(np.complex64) for k, v in slot.inputs[0].items()}))

    def not_a_number(self) -> None:
        slot = self.slot()
        poisoned = {k: v.copy() for k, v in slot.inputs[0].items()}
        for array in poisoned.values():
            if array.dtype.kind == "f":
                array.flat[self.rng.randrange(array.size)] = self.rng.choice([np.nan, np.inf, -np.inf])
        with contextlib.suppress(ClosedError):
            slot.predictor.run(poisoned)
        if not slot.frame(0):
            raise Failure("the frame after it differs")

    def damage(self, content: bytes) -> bytes:
        if self.rng.random() < 0.5:
            return content[: self.rng.randrange(len(content))]
        copy = bytearray(content)
        copy[self.rng.randrange(len(copy))] ^= 1 << self.rng.randrange(8)
        return bytes(copy)

    def damaged_model(self) -> None:
        source = Path(self.slot().path)
        if not source.is_file() or source.stat().st_size > DAMAGED_BYTES:
            source = resolve("digits").model
        path = self.folder / f"damaged{source.suffix}"
        path.write_bytes(self.damage(source.read_bytes()))
        self.tolerated(
            lambda: edgecnn.load(path, "random" if path.suffix == ".cfg" else None, backend="native").close()
        )

    def damaged_picture(self) -> None:
        path = self.folder / "damaged.png"
        path.write_bytes(self.damage(self.picture))
        self.tolerated(lambda: self.detector(path))
        if self.detector(self.scene).xyxy.tobytes() != self.found:
            raise Failure("the picture after it has other boxes")

    def empty_picture(self) -> None:
        self.refused(lambda: self.detector(np.zeros((0, 160, 3), np.uint8)))

    def write(self, folder: Path, limit: int | None = None) -> None:
        """A command that cannot write says so in one line, with status 1."""
        picture = self.folder / "whole.png"
        picture.write_bytes(self.picture)
        commands = [
            ["detect", str(picture), "--model", "digits", "--json", str(folder / "boxes.json")],
            ["detect", str(picture), "--model", "digits", "--save", str(folder / "drawn")],
            ["convert", str(resolve("digits").model), "-o", str(folder / "digits.ecnn")],
        ]
        limits = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit is not None else None
        command = [sys.executable, "-m", "edgecnn.cli", *self.rng.choice(commands)]
        run = subprocess.run(command, capture_output=True, text=True, preexec_fn=limits, timeout=120)
        if run.returncode != 1 or "Traceback" in run.stderr or not run.stderr.strip():
            raise Failure(f"{' '.join(command[3:])}: status {run.returncode}: {run.stderr.strip()[-300:]}")

    def full_disk(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.write(Path(folder), limit=0)
            # A .json is a stream, frame by frame; a model or a picture is whole or absent.
            left = [f.name for f in Path(folder).rglob("*") if f.is_file() and f.suffix != ".json"]
        if left:
            raise Failure(f"left {', '.join(left)}")

    def read_only(self) -> None:
        self.write(Path("/proc/self"))  # nobody can write there, root neither

    def interrupted(self) -> None:
        """Ctrl-C in a command: it ends at once, without a traceback."""
        command = [sys.executable, "-m", "edgecnn.cli", "tune", str(resolve("digits").model)]
        environment = {**os.environ, "EDGECNN_CACHE": str(self.folder)}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            time.sleep(self.rng.uniform(0.3, 0.8))
            process.send_signal(signal.SIGINT)
            try:
                printed, errors = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failure("the command goes on") from None
        if "in main" in errors:  # what Python itself prints while it starts is not ours
            raise Failure(errors[-300:])
        # Python says "Exception ignored" where the signal comes while it cannot pass an exception on, modules that it
        # is importing make errors of it, and a command that had ended was not interrupted.
        starting, ended = "Traceback" in errors, "kept for later loads" in printed
        if process.returncode not in (130, -signal.SIGINT) and not ("ignored" in errors or starting or ended):
            raise Failure(f"status {process.returncode}: {errors[-300:]}")

    def signals(self) -> None:
        """A hundred signals while frames run in all threads."""
        for _ in range(100):
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.001)

    def fork(self) -> None:
        """A child has no threads but one; its frames are right all the same."""
        slot = self.slot()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                fresh = slot.load(2)
                status = 0 if as_bytes(fresh.run(slot.inputs[0])) == slot.expected[0] else 2
            finally:
                os._exit(status)
        deadline = time.monotonic() + 60
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise Failure("the child hangs")
            time.sleep(0.005)
        if status:
            raise Failure(f"the child ended with status {os.waitstatus_to_exitcode(status)}")

    def swap(self) -> None:
        self.slot().swap(threads=self.rng.randint(1, 3))


def resident() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class State:
    """What the process holds: bytes, file descriptors, threads of its own and of the library."""

    def __init__(self) -> None:
        self.bytes, self.files, self.threads = resident(), descriptors(), len(os.listdir("/proc/self/task"))

    def __str__(self) -> str:
        return f"{self.bytes / 2**20:.1f} MiB, {self.files} file descriptors, {self.threads} threads"


@contextlib.contextmanager
def frames(slots: list[Slot], threads: int, counts: Counter[str]) -> Iterator[None]:
    """Frames in that many threads, as long as the block lasts."""
    over = threading.Event()
    lock = threading.Lock()
    failed: list[BaseException] = []

    def work(index: int) -> None:
        rng = random.Random(index)
        try:
            while not over.is_set():
                right = rng.choice(slots).frame(rng.randrange(PICTURES))
                with lock:
                    counts["frames"] += 1
                    counts["wrong"] += not right
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()
    if failed:
        raise failed[0]


def endure(slots: list[Slot], seconds: float, threads: int, seed: int, report: bool = False) -> list[str]:
    """Runs so many seconds, and until each fault has come once.

    Returns
    -------
    list of str
        What went wrong.
    """
    counts: Counter[str] = Counter()
    problems: list[str] = []
    rng = random.Random(seed)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    # A shell starts what runs in the background with Ctrl-C ignored, which the commands would inherit.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    start = shown = time.monotonic()
    settled: State | None = None
    try:
        with tempfile.TemporaryDirectory() as folder, frames(slots, threads, counts):
            faults = Faults(slots, Path(folder), rng)
            while (elapsed := time.monotonic() - start) < seconds or settled is None:
                round_of_faults = faults.all()
                rng.shuffle(round_of_faults)
                for fault in round_of_faults:
                    try:
                        fault()
                    except Failure as failure:
                        problems.append(f"{fault.__name__}: {failure}")
                    counts[fault.__name__] += 1
                if settled is None and elapsed * 10 >= seconds:
                    for slot in slots:  # what a swap with more threads would take later
                        slot.swap(threads=3)
                    settled = State()
                if report and time.monotonic() > shown + 30:
                    shown = time.monotonic()
                    print(f"{shown - start:6.0f} s  {counts['frames']} frames  {State()}", flush=True)
            for slot in slots:
                slot.swap(threads=3)
            last = State()
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.signal(signal.SIGINT, ignored)
    assert settled is not None
    if counts["wrong"]:
        problems.append(f"{counts['wrong']} of {counts['frames']} frames differ")
    if last.bytes > settled.bytes + ALLOWED_GROWTH or last.files > settled.files or last.threads > settled.threads:
        problems.append(f"grew: {settled} after a tenth of the time, {last} at the end")
    if report:
        names = [f.__name__ for f in faults.all()]
        print(f"{counts['frames']} frames in {time.monotonic() - start:.0f} s, {counts['wrong']} wrong")
        print(f"{sum(counts[n] for n in names)} faults: {', '.join(f'{counts[n]} {n}' for n in names)}")
        print(f"after a tenth of the time: {settled}\nat the end: {last}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=4, help="that run frames (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults (default: %(default)s)")
    options = parser.parse_args()
    shipped = [str(resolve(name).model) for name in ("digits", "lenet-digits")]
    slots = [Slot(path, None) for path in (*shipped, *options.models)]
    slots.append(Slot("yolo-lite", "random"))
    problems = endure(slots, options.minutes * 60, options.threads, options.seed, report=True)
    for problem, times in Counter(problems).items():
        print(f"{times} x {problem}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
