"""The C++ tests under AddressSanitizer with UndefinedBehaviorSanitizer, and what has threads under ThreadSanitizer.

    python tests/sanitize.py [address,undefined | thread]

Builds into build/sanitize-*; the exit status is 1 where anything is found.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from native_build import CSRC, REPOSITORY, tool

from edgecnn.cli import main as edgecnn

DETECTOR, CLASSIFIER = "digits.ecnn", "lenet-digits.ecnn"
# Of each sanitizer: the programs, with their arguments.
PROGRAMS = {
    "address,undefined": {
        "kernel_test": (),
        "algo_test": (),
        "vision_test": (),
        "thread_test": (),
        "api_test": (DETECTOR, CLASSIFIER),
    },
    "thread": {
        "thread_test": (),
        "api_test": (DETECTOR, CLASSIFIER),
        "frame_test": (DETECTOR, "5"),
    },
}
OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:allocator_may_return_null=1:max_allocation_size_mb=2048",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def check(sanitizer: str, models: Path) -> int:
    """Builds and runs; the number of programs that fail."""
    build = REPOSITORY / "build" / f"sanitize-{sanitizer.split(',')[0]}"
    programs = PROGRAMS[sanitizer]
    cmake, jobs = tool("cmake"), str(os.cpu_count() or 1)
    # -O1: a third of the time to compile, and less for the optimizer to make of what is undefined.
    flags = ["-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1", f"-DEDGECNN_SANITIZE={sanitizer}"]
    start = time.monotonic()
    subprocess.run(
        [cmake, "-S", str(CSRC), "-B", str(build), "-DEDGECNN_TESTS=ON", *flags], check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(
        [cmake, "--build", str(build), "-j", jobs, "--target", *programs], check=True, stdout=subprocess.DEVNULL
    )
    print(f"{sanitizer}: built in {time.monotonic() - start:.0f} s", flush=True)
    failed = 0
    for program, arguments in programs.items():
        start = time.monotonic()
        command = [str(build / program), *(str(models / a) if a.endswith(".ecnn") else a for a in arguments)]
        result = subprocess.run(
            command, env={**os.environ, **OPTIONS}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        failed += result.returncode != 0
        verdict = "clean" if result.returncode == 0 else f"exit {result.returncode}\n{result.stdout[-6000:]}"
        print(f"{sanitizer}: {program} in {time.monotonic() - start:.0f} s: {verdict}", flush=True)
    return failed


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        for name in (DETECTOR, CLASSIFIER):
            if edgecnn(["convert", Path(name).stem, "-o", f"{folder}/{name}"]):
                return 1
        return int(sum(check(sanitizer, Path(folder)) for sanitizer in sys.argv[1:] or PROGRAMS) > 0)


if __name__ == "__main__":
    sys.exit(main())
