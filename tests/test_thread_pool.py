"""The C++ tests of the thread pool by itself, as they are and under ThreadSanitizer (which needs a C++ compiler)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parent.parent / "csrc"


@pytest.mark.parametrize("sanitizer", ["none", "thread"])
def test_thread_test(sanitizer: str, tmp_path: Path) -> None:
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    program = tmp_path / "thread_test"
    flags = ["-O1", "-g", "-fsanitize=thread"] if sanitizer == "thread" else ["-O2"]
    sources = [CSRC / "tests" / "thread_test.cc", CSRC / "runtime" / "thread_pool.cc"]
    build = [compiler, "-std=c++17", *flags, "-I", str(CSRC), *map(str, sources), "-pthread", "-o", str(program)]
    built = subprocess.run(build, capture_output=True, text=True)
    if sanitizer == "thread" and built.returncode != 0 and "tsan" in built.stderr:
        pytest.skip("the compiler has no ThreadSanitizer")
    assert built.returncode == 0, built.stderr
    run = subprocess.run([str(program)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
