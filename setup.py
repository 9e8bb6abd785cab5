"""Drives csrc/CMakeLists.txt, the one build of the C++; everything else is in pyproject.toml."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
JOB_BYTES = 400 * 2**20  # what the compiler takes for the largest file (330 MiB with g++ 12), and some more


def parallel_jobs() -> int:
    """As many as there are CPUs and memory: a board with 512 MB has four cores too."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // JOB_BYTES))


class CMakeBuild(build_ext):
    """Builds edgecnn/_core with CMake."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        build = Path(self.build_temp).resolve() / "cmake"
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(parallel_jobs()))
        configure = [
            "cmake", "-S", str(ROOT / "csrc"), "-B", str(build), "-G", "Ninja", "-DEDGECNN_PYTHON=ON",
            f"-DPython_EXECUTABLE={sys.executable}", f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target.parent}",
            *shlex.split(os.environ.get("CMAKE_ARGS", "")),  # a cross build's toolchain (docker/wheels.py)
        ]  # fmt: skip
        # pip builds in a fresh environment each time: an old cache points to a Python and pybind11 that are gone.
        (build / "CMakeCache.txt").unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--target", "_core", "-j", jobs], check=True)


setup(ext_modules=[Extension("edgecnn._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
