"""Fuzzes everything that reads files of others, each target for some seconds.

    python tests/fuzz/run.py [--seconds 60] [TARGET...]        # or: make fuzz SECONDS=60

Targets: ecnn (the reader, the executor and the C API; libFuzzer, needs clang), onnx, tflite, darknet, weights (the
importers, passes and planner; atheris), annotations (readers of annotated and of labelled pictures; atheris). What is
learnt stays in build/fuzz/<target> for the next time; what breaks a target is written to build/fuzz as crash-*,
timeout-* or oom-*, and the exit status is 1. A fixed finding goes to tests/fuzz/regressions/<target>, which
tests/test_fuzz.py runs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from targets import FUNCTIONS, TESTS, seeds

REPOSITORY = TESTS.parent
WORK = REPOSITORY / "build" / "fuzz"
MEGABYTES, SECONDS = 512, 5  # of memory and time that one file may take
MOST_BYTES = 1 << 15  # of an invented file


def build() -> Path:
    """The libFuzzer program."""
    clang = next((c for c in ("clang++", "clang++-14") if shutil.which(c)), None)
    if clang is None:
        sys.exit("fuzzing .ecnn files needs clang: apt install clang-14 libclang-rt-14-dev")
    folder = WORK / "program"
    configure = [
        *["cmake", "-S", str(REPOSITORY / "csrc"), "-B", str(folder), f"-DCMAKE_CXX_COMPILER={clang}"],
        *["-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1", "-DEDGECNN_FUZZ=ON", "-DEDGECNN_TESTS=ON"],
        "-DEDGECNN_SANITIZE=address,undefined",
    ]
    jobs = str(os.cpu_count() or 1)
    for command in (configure, ["cmake", "--build", str(folder), "-j", jobs, "--target", "fuzz_ecnn"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "fuzz_ecnn"


def fuzz(target: str, seconds: int) -> int:
    """Runs one target; its exit status."""
    corpus = WORK / target
    corpus.mkdir(parents=True, exist_ok=True)
    regressions = TESTS / "fuzz" / "regressions" / target
    files = [*seeds(target), *(f.read_bytes() for f in sorted(regressions.glob("*")))]
    for content in files:
        (corpus / hashlib.sha1(content).hexdigest()).write_bytes(content)
    program = [str(build())] if target == "ecnn" else [sys.executable, str(TESTS / "fuzz" / "importers.py"), target]
    options = [
        *[f"-max_total_time={seconds}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={MOST_BYTES}"],
        *[f"-artifact_prefix={WORK}/", "-print_final_stats=1", "-use_value_profile=1"],
    ]
    if target == "ecnn":
        options.append(f"-malloc_limit_mb={MEGABYTES}")
    result = subprocess.run(
        [*program, *options, str(corpus)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    print(
        target, summary(result.stdout), "clean" if result.returncode == 0 else f"exit {result.returncode}", flush=True
    )
    if result.returncode:
        print(result.stdout[-5000:])
    return result.returncode


def summary(log: str) -> str:
    """Executions, coverage and size of the corpus from what libFuzzer printed."""
    last = re.findall(r"#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)", log)
    executed, edges, features, files = last[-1] if last else ("?", "?", "?", "?")
    return f"{executed} executions, {edges} edges, {features} features, {files} files in the corpus:"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=["ecnn", *FUNCTIONS], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    options = parser.parse_args()
    return int(any([fuzz(target, options.seconds) for target in options.targets]))


if __name__ == "__main__":
    sys.exit(main())
