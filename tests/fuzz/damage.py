"""Every file of a folder, cut and with flipped bits: an error or a success, soon, in little memory, and no crash.

    python tests/fuzz/damage.py FOLDER [--count 1000] [--suffix .onnx]

Prints for each kind of file how many were tried, what came of them, and the slowest and largest case. The exit status
is 1 where one took more than 5 s of CPU time or 512 MiB, or ended its process. Each file has a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parent.parent.parent)]

from edgecnn.errors import EdgeCNNError  # noqa: E402
from edgecnn.images import SUFFIXES, open_picture  # noqa: E402
from edgecnn.importers import import_model  # noqa: E402
from edgecnn.picture_model import read_labels  # noqa: E402

SECONDS, MEBIBYTES = 5.0, 512


class Outcome(NamedTuple):
    """What came of the damaged copies of a file."""

    errors: int
    successes: int
    slowest: float  # seconds
    mebibytes: float  # that the process grew by
    problem: str = ""


def reader(file: Path) -> Callable[[Path], object] | None:
    """What reads such a file; None where nothing does."""
    suffix = file.suffix.lower()
    if suffix == ".cfg":
        return lambda path: import_model(path, "random")
    if suffix in (".onnx", ".tflite"):
        return import_model
    if suffix == ".weights":
        stem = file.stem.replace("MISMATCH-", "")
        found = [c for c in (file.with_name(f"{s}.cfg") for s in (stem, stem.split("_")[0])) if c.exists()]
        return (lambda path: import_model(found[0], path)) if found else None
    if suffix in SUFFIXES:
        return open_picture
    return read_labels if suffix == ".names" else None


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


def try_file(file: Path, count: int, results: multiprocessing.Queue[Outcome]) -> None:
    read = reader(file)
    assert read is not None
    errors = successes = 0
    slowest, problem, before = 0.0, "", peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file.name)
        for number, content in enumerate(damaged(file.read_bytes(), count)):
            path.write_bytes(content)
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="truncations, and as many flips, of each file")
    parser.add_argument("--suffix", action="append", help="only files that end so")
    options = parser.parse_args()
    context = multiprocessing.get_context("fork")
    kinds: dict[str, list[Outcome]] = {}
    problems = 0
    for file in sorted(f for f in options.folder.rglob("*") if f.is_file() and reader(f) and f.stat().st_size):
        if options.suffix and file.suffix.lower() not in options.suffix:
            continue
        results = context.Queue()
        process = context.Process(target=try_file, args=(file, options.count, results))
        process.start()
        process.join()
        lost = Outcome(0, 0, 0, 0, f"the process ended with {process.exitcode}")
        outcome = results.get() if process.exitcode == 0 else lost
        kinds.setdefault(file.suffix.lower(), []).append(outcome)
        if outcome.problem:
            problems += 1
            print(f"{file}: {outcome.problem}", flush=True)
    for suffix, outcomes in sorted(kinds.items()):
        errors, successes = (sum(values) for values in list(zip(*outcomes))[:2])
        slowest, most = max(o.slowest for o in outcomes), max(o.mebibytes for o in outcomes)
        print(
            f"{suffix}: {len(outcomes)} files, {errors + successes} cases: {errors} errors, {successes} successes; "
            f"slowest {slowest:.2f} s, most memory {most:.0f} MiB"
        )
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
