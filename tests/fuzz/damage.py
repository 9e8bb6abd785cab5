"""Every file of a folder, cut and with flipped bits: an error or a success, soon, in little memory, and no crash.

    python tests/fuzz/damage.py FOLDER [--count 1000] [--suffix .onnx] [--jobs 2]

Prints for each kind of file how many were tried, what came of them, and the slowest and largest case. The exit status
is 1 where one took more than 5 s of CPU time or 512 MiB, raised anything but an `EdgeCNNError`, hung, or ended its
process. Each file has a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY)]

from edgecnn.errors import EdgeCNNError  # noqa: E402
from edgecnn.evaluate.annotations import read_annotations  # noqa: E402
from edgecnn.evaluate.labelled import read_labelled  # noqa: E402
from edgecnn.images import SUFFIXES, open_picture  # noqa: E402
from edgecnn.importers import darknet_weights, import_model  # noqa: E402
from edgecnn.picture_model import read_labels  # noqa: E402

SECONDS, MEBIBYTES = 5.0, 512
HUNG = 60.0  # seconds without a new case, on a machine that may be busy
CLASSES = ("person", "bicycle", "car", "bus", "train", "boat", "bird", "cat", "dog", "horse", "sheep", "cow")
NUMBERS = tuple(map(str, range(10)))
PICTURE = b"P6 500 375 255\n" + bytes(3 * 500 * 375)  # of annotations; soon read

Reader = Callable[[Path], object]


class Outcome(NamedTuple):
    """What came of the damaged copies of a file."""

    errors: int
    successes: int
    slowest: float  # seconds
    mebibytes: float  # that the process grew by
    problem: str = ""


def reader(file: Path) -> tuple[Reader, str] | None:
    """What reads such a file, and where in its folder it has to lie; None where nothing does."""
    suffix = file.suffix.lower()
    if suffix == ".cfg":
        return _cfg, file.name
    if suffix in (".onnx", ".tflite"):
        return import_model, file.name
    if suffix == ".weights":
        stem = file.stem.replace("MISMATCH-", "")
        found = [c for c in (file.with_name(f"{s}.cfg") for s in (stem, stem.split("_")[0])) if c.exists()]
        return (lambda path: import_model(found[0], path), file.name) if found else None
    if suffix in SUFFIXES:
        return open_picture, file.name
    if suffix == ".xml":
        return (lambda path: read_annotations(path.parent.parent, CLASSES)), "Annotations/picture.xml"
    if suffix == ".txt" and file.parent.name == "labels" and (file.parent.parent / "images").is_dir():
        return (lambda path: read_annotations(path.parent.parent, CLASSES)), "labels/picture.txt"
    if suffix == ".json":
        return (lambda path: read_annotations(path, CLASSES)), file.name
    if suffix in (".bin", ".csv"):
        return (lambda path: read_labelled(path, NUMBERS)), file.name
    if "idx" in file.name:
        return (lambda path: _idx(path, file)), file.name
    return (read_labels, file.name) if suffix in (".names", ".txt") else None


def _idx(path: Path, file: Path) -> object:
    """A set in which the others of its files are right."""
    for other in file.parent.glob("*idx*"):
        if not path.with_name(other.name).exists():
            shutil.copy(other, path.with_name(other.name))
    return read_labelled(path.parent, NUMBERS)


def _cfg(path: Path) -> object:
    """With weights that take no time: it is the file that is read here."""
    with mock.patch.object(darknet_weights, "RandomWeights", lambda seed=0: darknet_weights.Count()):
        return import_model(path, "random")


def damaged(content: bytes, count: int) -> Iterator[bytes]:
    """*count* random truncations, then as many copies with one flipped bit."""
    rng = random.Random(1)
    for _ in range(count):
        yield content[: rng.randrange(len(content))]
    for _ in range(count):
        copy = bytearray(content)
        bit = rng.randrange(8 * len(copy))
        copy[bit // 8] ^= 1 << bit % 8
        yield bytes(copy)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def try_file(file: Path, count: int, folder: Path, begun: Any, results: multiprocessing.Queue[Outcome]) -> None:
    found = reader(file)
    assert found is not None
    read, place = found
    path = folder / place
    path.parent.mkdir(exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "picture.ppm").write_bytes(PICTURE)
    errors = successes = 0
    slowest, problem, before = 0.0, "", peak()
    for number, content in enumerate(damaged(file.read_bytes(), count)):
        path.write_bytes(content)
        begun.value = number
        start = time.process_time()
        try:
            read(path)
            successes += 1
        except EdgeCNNError:
            errors += 1
        except Exception as error:
            problem = f"case {number}: {error!r}"
        seconds = time.process_time() - start
        slowest = max(slowest, seconds)
        if seconds > SECONDS or peak() - before > MEBIBYTES:
            problem = problem or f"case {number}: {seconds:.1f} s, {peak() - before:.0f} MiB"
    results.put(Outcome(errors, successes, slowest, peak() - before, problem))


def watch(file: Path, count: int) -> Outcome:
    """Tries a file in a process of its own, and ends that when it hangs."""
    context = multiprocessing.get_context("forkserver")
    begun, results = context.Value("l", -1), context.Queue()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        process = context.Process(target=try_file, args=(file, count, Path(folder), begun, results))
        process.start()
        case, since = -1, time.monotonic()
        while process.is_alive():
            process.join(0.2)
            if begun.value != case:
                case, since = begun.value, time.monotonic()
            elif time.monotonic() > since + HUNG:
                process.kill()
                process.join()
                return Outcome(0, 0, 0, 0, f"case {case}: hung")
        if process.exitcode:
            return Outcome(0, 0, 0, 0, f"case {begun.value}: the process ended with {process.exitcode}")
        outcome: Outcome = results.get()
        return outcome


def summary(suffix: str, outcomes: list[Outcome]) -> str:
    errors, successes = sum(o.errors for o in outcomes), sum(o.successes for o in outcomes)
    slowest, most = max(o.slowest for o in outcomes), max(o.mebibytes for o in outcomes)
    return (
        f"{suffix}: {len(outcomes)} files, {errors + successes} cases: {errors} errors, {successes} successes; "
        f"slowest {slowest:.2f} s, most memory {most:.0f} MiB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="truncations, and as many flips, of each file")
    parser.add_argument("--suffix", action="append", help="only files that end so")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="files at a time (%(default)s)")
    options = parser.parse_args()
    files = sorted(f for f in options.folder.rglob("*") if f.is_file() and f.stat().st_size)
    if options.suffix:
        files = [f for f in files if f.suffix.lower() in options.suffix]
    unread = sorted({f.suffix or f.name for f in files if not reader(f)})
    files = [f for f in files if reader(f)]
    files_of = Counter(f.suffix.lower() for f in files)
    kinds: dict[str, list[Outcome]] = {suffix: [] for suffix in files_of}
    problems = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for file, outcome in zip(files, pool.map(lambda f: watch(f, options.count), files)):
            suffix = file.suffix.lower()
            kinds[suffix].append(outcome)
            if outcome.problem:
                problems += 1
                print(f"{file}: {outcome.problem}", flush=True)
            if len(kinds[suffix]) == files_of[suffix]:
                print(summary(suffix, kinds[suffix]), flush=True)
    print(f"{len(files)} files, {problems} problems; nothing reads {', '.join(unread) or 'no other'}")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
