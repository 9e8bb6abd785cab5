"""The C++ library and its programs, built for tests of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
CSRC = REPOSITORY / "csrc"


def tool(*names: str) -> str:
    """The first of these programs that is installed; skips where there is none."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
        if found:
            return found
    pytest.skip(f"{' or '.join(names)} is not installed")


def execute(*command: object, status: int = 0, **options: object) -> str:
    """Runs a program that should end with *status*; what it printed."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900, **options)  # type: ignore[call-overload]
    printed = result.stdout[-3000:] + result.stderr[-3000:]
    assert result.returncode == status, f"{command[0]}: {result.returncode}\n{printed}"
    return str(result.stdout + result.stderr)


def native_build(*targets: str) -> Path:
    """The folder of a build for this machine, with these targets up to date.

    The build that pip has made is continued where there is one, since compiling takes minutes.
    """
    cmake = tool("cmake")
    build = REPOSITORY / "build" / "dev"
    of_pip = sorted(REPOSITORY.glob("build/temp*/cmake/build.ninja"))
    if not build.exists() and of_pip and shutil.which("ninja"):
        build = of_pip[-1].parent
        (build / "CMakeCache.txt").unlink(missing_ok=True)  # it names programs of pip's that are gone
        execute(cmake, "-S", CSRC, "-B", build, "-G", "Ninja", "-DEDGECNN_TESTS=ON")
    elif not (build / "CMakeCache.txt").exists():
        execute(cmake, "-S", CSRC, "-B", build, "-DEDGECNN_TESTS=ON")
    execute(cmake, "--build", build, "-j", os.cpu_count() or 1, "--target", *targets)
    return build
