"""Runs the tests from an installed wheel in an ARM root file system, on emulated cores.

    python docker/suite.py [--quick] [--core cortex-a53]... [PYTEST ARGUMENTS ...]

From nothing: builds the wheel (wheels.py), makes a root file system of Debian's packages (sysroot.py), installs the
wheel and what the tests need into it, and runs pytest there, by QEMU's user mode. Needs Debian's g++-aarch64-linux-gnu
(for cortex-a7, a 32-bit system, g++-arm-linux-gnueabihf), mmdebstrap and qemu-user-static, and root (for chroot and
binfmt_misc). The package edgecnn of the repository is not
there: what is tested is what a user installs. Emulated time says nothing about speed.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import sysroot
import wheels

PYTHON = "3.11"
# What CI runs: the compiled code through Python, and from pictures to boxes. The rest is Python, the same anywhere.
QUICK = ["public_api", "native", "kernels", "kernels_conv", "first_conv", "depthwise", "winograd", "boxes", "detector"]
# These start many threads at once, each of which waits in a loop: on emulated cores that is for minutes.
SLOW = ["test_native.py::test_several_predictors_at_once", "test_native.py::test_one_predictor_in_many_threads"]


@dataclass(frozen=True)
class System:
    """A Debian 12 of one architecture. What the tests import comes from Debian, from PyPI or both."""

    arch: str  # in the tags of wheels
    qemu: str
    elf: bytes  # class and machine in the head of its programs, as binfmt_misc takes them
    packages: tuple[str, ...]  # of Debian
    requirements: tuple[str, ...]  # of PyPI, of the extras in pyproject.toml; style checkers are not for here
    libraries: tuple[str, ...] = ()  # to be linked to from the folder above: no package was configured


ARM64 = System(
    "aarch64",
    "qemu-aarch64-static",
    rb"\x02 \xb7",
    ("python3", "libgomp1", "libstdc++6", "coreutils"),
    ("numpy", "pytest", "pytest-xdist", "hypothesis", "Pillow", "platformdirs", "opencv-python-headless<5")
    + ("onnx", "onnxruntime", "ai-edge-litert"),
)
# PyPI has no wheels of compiled packages for 32-bit ARM.
ARMHF = System(
    "armv7l",
    "qemu-arm-static",
    rb"\x01 \x28",
    ("python3", "libstdc++6", "coreutils", "python3-numpy", "python3-pytest", "python3-pytest-xdist")
    + ("python3-hypothesis", "python3-pil", "python3-platformdirs"),
    (),
    ("usr/lib/arm-linux-gnueabihf/blas/libblas.so.3", "usr/lib/arm-linux-gnueabihf/lapack/liblapack.so.3"),
)
# Pip on the build machine chooses wheels for the board: those of its architecture and glibc (Debian 12: 2.36).
GLIBC = (17, 24, 26, 27, 28, 31, 34, 35)


@dataclass(frozen=True)
class Core:
    """A CPU that QEMU knows, and the part number by which /proc/cpuinfo of a board with it names it."""

    name: str
    part: str
    system: System
    without: str = ""  # what QEMU is to leave out of it


CORES = {
    core.name: core
    for core in (
        Core("cortex-a53", "0xd03", ARM64),
        Core("cortex-a72", "0xd08", ARM64),
        # With dot products and half precision, as a Cortex-A76 has them; SVE and SME, which no board in question has,
        # would send the peers into kernels that QEMU takes minutes for.
        Core("max", "0xd40", ARM64, ",sve=off,sme=off"),
        Core("cortex-a7", "0xc07", ARMHF),
    )
}


def register_qemu(system: System) -> None:
    """Lets the kernel start ARM programs by QEMU, in a chroot too (flag F: it is opened now, not at the path there)."""
    qemu = shutil.which(system.qemu)
    if not qemu:
        raise FileNotFoundError(f"{system.qemu} is not installed (Debian: qemu-user-static)")
    folder = Path("/proc/sys/fs/binfmt_misc")
    if not (folder / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(folder)], check=True)
    name = system.qemu.replace("-static", "")
    if not (folder / name).exists():
        bits, machine = system.elf.split()
        magic = rb"\x7fELF" + bits + rb"\x01\x01" + rb"\x00" * 9 + rb"\x02\x00" + machine + rb"\x00"
        mask = rb"\xff" * 7 + rb"\x00" + rb"\xff" * 8 + rb"\xfe\xff\xff\xff"
        (folder / "register").write_bytes(f":{name}:M::".encode() + magic + b":" + mask + f":{qemu}:F".encode())


def root_file_system(system: System) -> Path:
    """A Debian with Python and the packages that tests need."""
    debian = wheels.DEBIAN_ARCH[system.arch]
    root = sysroot.extract(f"tests-{debian}", "bookworm", debian, list(system.packages))
    for name in system.libraries:
        library = root / name
        link = library.parents[1] / library.name
        if not link.exists():
            link.symlink_to(f"{library.parent.name}/{library.name}")
    install = [str(wheels.tools()), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    install += ["--python-version", PYTHON]
    platforms = [f"manylinux_2_{n}_{system.arch}" for n in GLIBC] + [f"manylinux2014_{system.arch}"]
    install += [word for platform in platforms for word in ("--platform", platform)]
    packages = root / "opt" / "packages"
    if system.requirements and not packages.exists():
        unfinished = root / "opt" / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([*install, "--target", str(unfinished), *system.requirements], check=True)
        unfinished.rename(packages)
    return root


def install_wheel(root: Path, arch: str) -> str:
    """The wheel of this commit into the root file system; its name."""
    wheel = wheels.build(PYTHON, arch, sysroot.REPOSITORY / "build" / "wheels")
    folder = root / "opt" / "edgecnn"
    shutil.rmtree(folder, ignore_errors=True)
    command = [str(wheels.tools()), "-m", "pip", "install", "--quiet", "--no-deps", "--python-version", PYTHON]
    platform = wheel.stem.split("-")[-1]
    command += ["--only-binary=:all:", "--platform", platform, "--target", str(folder), str(wheel)]
    subprocess.run(command, check=True)
    return wheel.name


def copy_tests(root: Path) -> None:
    """The repository but for the package and the build, so that nothing imports them."""
    target = root / "repository"
    shutil.rmtree(target, ignore_errors=True)
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=sysroot.REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in names.split("\0"):
        source = sysroot.REPOSITORY / name
        if name and not name.startswith("edgecnn/") and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)


def run_tests(root: Path, core: Core, arguments: list[str]) -> tuple[int, str]:
    """Pytest in the root file system; its exit status and summary."""
    text = "".join(
        f"processor\t: {i}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        f"CPU part\t: {core.part}\nCPU revision\t: 4\n\n"
        for i in range(4)
    )
    (root / "opt").mkdir(exist_ok=True)
    (root / "opt" / "cpuinfo").write_text(text)
    beside = sysroot.REPOSITORY.parent / "shared" / "data"
    data = os.environ.get("EDGECNN_DATA", str(beside) if beside.exists() else "")
    place = shlex.quote(str(root))
    for folder in ("proc", "dev", "tmp", "data"):
        (root / folder).mkdir(exist_ok=True)
    mounts = ["mount --make-rprivate /", f"mount -t proc proc {place}/proc", f"mount --rbind /dev {place}/dev"]
    mounts += [f"mount --bind {place}/opt/cpuinfo {place}/proc/cpuinfo"]
    if data:
        mounts += [f"mount --bind {shlex.quote(data)} {place}/data"]
    environment = {
        "PATH": "/opt/packages/bin:/opt/edgecnn/bin:/usr/bin:/bin",
        "PYTHONPATH": "/opt/edgecnn:/opt/packages",
        "PYTHONDONTWRITEBYTECODE": "1",
        "QEMU_CPU": core.name + core.without,
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        **({"EDGECNN_DATA": "/data"} if data else {}),
    }
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    pytest = f"/usr/bin/python3 -P -m pytest {shlex.join(arguments)}"
    script = "\n".join([*mounts, f"exec chroot {place} /usr/bin/env -i -C /repository {settings} {pytest}"])
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-eu", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    summary = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        if re.search(r"\d+ (passed|failed|error)", line):
            summary = line.strip("= \n")
    return process.wait(), summary


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--core", action="append", choices=sorted(CORES), help="default: each in turn")
    parser.add_argument("--quick", action="store_true", help="only what CI has time for")
    options, arguments = parser.parse_known_args()
    if options.quick:
        arguments += [f"tests/test_{name}.py" for name in QUICK] + [f"--deselect=tests/{name}" for name in SLOW]
    results = []
    ready: dict[System, tuple[Path, str]] = {}
    for core in options.core or CORES:
        system = CORES[core].system
        if system not in ready:
            register_qemu(system)
            root = root_file_system(system)
            ready[system] = root, install_wheel(root, system.arch)
            copy_tests(root)
        root, name = ready[system]
        begin = time.monotonic()
        status, summary = run_tests(root, CORES[core], arguments)
        results.append((status, f"{name} on {core}: {summary}, {(time.monotonic() - begin) / 60:.1f} minutes"))
    print("\n".join(text for _, text in results))
    sys.exit(1 if any(status for status, _ in results) else 0)


if __name__ == "__main__":
    main()
