"""Builds wheels for ARM boards on a PC, and checks that each keeps what its name promises.

    python docker/wheels.py [--arch aarch64 armv7l] [--python 3.9 3.11 3.13] [--out dist]

Needs Debian's g++-aarch64-linux-gnu, for 32-bit systems (armv7l) g++-arm-linux-gnueabihf, and mmdebstrap. The code is
compiled against the C and C++ libraries of Debian 11, the oldest Raspberry Pi OS with a Python that edgecnn supports,
and the Python of the release that ships it. The tag (manylinux_2_N) then says what the library really asks of a system:
it is computed from the versions of its symbols. A wheel with an instruction that its oldest board lacks
(instructions.py) is not made.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import instructions
import sysroot

# Which Debian release, hence Raspberry Pi OS, has which Python.
RELEASES = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}
OLDEST = "3.9"
COMPILER = ["libc6-dev", "libstdc++-10-dev"]  # of its release
DEBIAN_ARCH = {"aarch64": "arm64", "armv7l": "armhf"}
TRIPLET = {"aarch64": "aarch64-linux-gnu", "armv7l": "arm-linux-gnueabihf"}
# What each manylinux_2_N allows at most of libstdc++, as PEP 600 asks: what the distributions with that glibc have.
LIBSTDCXX = {17: (3, 4, 19), 24: (3, 4, 22), 27: (3, 4, 24), 31: (3, 4, 28), 34: (3, 4, 29), 35: (3, 4, 30)}
TOOLS = sysroot.REPOSITORY / "build" / "wheel-tools"


def tools() -> Path:
    """A virtual environment with what pyproject.toml asks for to build."""
    python = TOOLS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], check=True)
        text = (sysroot.REPOSITORY / "pyproject.toml").read_text()
        requires = re.findall(r'"([^"]+)"', re.findall(r"^requires = \[(.*)\]$", text, re.M)[0])
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requires, "wheel"], check=True)
    return python


def libraries(version: str, arch: str) -> Path:
    """What of the release with this Python wheels are built against: its headers; of the oldest, C and C++ too."""
    release = RELEASES[version]
    packages = [f"libpython{version}-dev", *(COMPILER if version == OLDEST else [])]
    return sysroot.extract(f"{release}-{arch}", release, DEBIAN_ARCH[arch], packages)


def headers(version: str, arch: str) -> Path:
    """The headers of a Python, with the pyconfig.h of the architecture in its place."""
    root = libraries(version, arch)
    folder = sysroot.FOLDER / f"python{version}-{arch}"
    if not folder.exists():
        shutil.copytree(root / f"usr/include/python{version}", folder)
        shutil.copy(root / f"usr/include/{TRIPLET[arch]}/python{version}/pyconfig.h", folder)
    return folder


def manylinux(library: Path, arch: str) -> str:
    """The platform tag that a library's symbols ask for."""
    objdump = f"{TRIPLET[arch]}-objdump"
    symbols = subprocess.run([objdump, "-T", str(library)], check=True, capture_output=True, text=True).stdout
    versions: dict[str, list[tuple[int, ...]]] = {"GLIBC": [(2, 17)], "GLIBCXX": [(3, 4)]}
    for kind, number in re.findall(r"\((GLIBC|GLIBCXX)_([0-9.]+)\)", symbols):
        versions[kind].append(tuple(int(n) for n in number.split(".")))
    glibc = max(versions["GLIBC"])[1]
    libstdcxx = max(versions["GLIBCXX"])
    allowed = [n for n, most in LIBSTDCXX.items() if most >= libstdcxx]
    if not allowed:
        raise ValueError(f"{library.name} asks for GLIBCXX_{'.'.join(map(str, libstdcxx))}, newer than is known here")
    return f"manylinux_2_{max(glibc, min(allowed))}_{arch}"


def build(version: str, arch: str, out: Path) -> Path:
    """One wheel; the library is compiled once for all Pythons."""
    if not shutil.which(f"{TRIPLET[arch]}-g++"):
        raise FileNotFoundError(f"{TRIPLET[arch]}-g++ is not installed (Debian: g++-{TRIPLET[arch]})")
    python = tools()
    base = libraries(OLDEST, arch)
    suffix = f".cpython-{version.replace('.', '')}-{TRIPLET[arch]}.so"
    run = [str(python), "-m", "pybind11", "--cmakedir"]
    pybind11 = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    toolchain = sysroot.REPOSITORY / "csrc" / "cmake" / f"{TRIPLET[arch]}.cmake"
    definitions = {
        "CMAKE_TOOLCHAIN_FILE": toolchain,
        "Python_INCLUDE_DIR": headers(version, arch),
        "pybind11_DIR": pybind11,
        "PYTHON_MODULE_EXTENSION": suffix,
    }
    environment = dict(
        os.environ,
        PATH=f"{TOOLS / 'bin'}:{os.environ['PATH']}",
        EDGECNN_SYSROOT=str(base),
        SETUPTOOLS_EXT_SUFFIX=suffix,
        CMAKE_ARGS=shlex.join(f"-D{name}={value}" for name, value in definitions.items()),
    )
    temporary = sysroot.REPOSITORY / "build" / f"wheel-{arch}"
    with tempfile.TemporaryDirectory() as folder:
        places = ["--build-lib", f"{folder}/lib", "--build-temp", str(temporary)]
        command = [str(python), "setup.py", "-q", "build", *places, "bdist_wheel", "--dist-dir", folder]
        result = subprocess.run(command, cwd=sysroot.REPOSITORY, env=environment, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"{result.stdout[-3000:]}{result.stderr[-3000:]}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as contents:
            (library,) = [name for name in contents.namelist() if name.endswith(".so")]
            platform = manylinux(Path(contents.extract(library, folder)), arch)
        tag = f"cp{version.replace('.', '')}"
        tags = ["--python-tag", tag, "--abi-tag", tag, "--platform-tag", platform]
        command = [str(python), "-m", "wheel", "tags", "--remove", *tags, str(wheel)]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        # The wheel has no symbols, without which 32-bit code cannot be read.
        objects = sorted((temporary / "cmake").rglob("*.o")) if arch == "armv7l" else []
        if not instructions.check(Path(folder) / name, objects):
            raise ValueError(f"{name} is not made")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(Path(folder) / name, out))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", nargs="+", choices=sorted(TRIPLET), default=sorted(TRIPLET))
    parser.add_argument("--python", nargs="+", choices=sorted(RELEASES), default=list(RELEASES))
    parser.add_argument("--out", type=Path, default=sysroot.REPOSITORY / "dist")
    options = parser.parse_args()
    try:
        for arch in options.arch:
            for version in options.python:
                wheel = build(version, arch, options.out)
                print(f"{wheel}: {wheel.stat().st_size / 2**20:.2f} MiB", flush=True)
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        sys.exit(f"wheels.py: {error}")


if __name__ == "__main__":
    main()
