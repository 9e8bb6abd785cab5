"""Runs aarch64 programs under QEMU with the plugin of ``plugin/``, which models a core while they run."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from edgecnn import plan_cache
from edgecnn.errors import BackendError
from edgecnn.forecast.counts import Counts, parse_report

HERE = Path(__file__).resolve().parent

QEMU = "qemu-aarch64"
QEMU_PACKAGE = (
    "the forecast needs a qemu-aarch64 with plugins, which is that of Debian 12: apt-get install qemu-user "
    "(the static one, and that of later releases, cannot load plugins)"
)

# Of a core, by QEMU's name: the second-level caches (KiB) and distances to DRAM (cycles) that are followed at once. One
# distance is enough of a cache that only few boards have.
WORLDS: dict[str, list[tuple[int, int]]] = {
    "cortex-a53": [(512, 80), (512, 160), (512, 320), (256, 160)],
    "cortex-a72": [(1024, 100), (1024, 200), (1024, 400)],
    "cortex-a76": [(2048, 150), (2048, 300), (2048, 600)],
}

# Main ID register, first-level caches and features beyond ARMv8.0: what libraries choose kernels by.
MIDR = {"cortex-a53": 0x410FD034, "cortex-a72": 0x410FD083, "cortex-a76": 0x414FD0B1}
L1_KIB = {"cortex-a53": 32, "cortex-a72": 32, "cortex-a76": 64}
FEATURES = {"cortex-a76": " fphp asimdhp asimddp"}


def run(
    command: Sequence[str],
    core: str,
    steps: int,
    skip: int = 1,
    root: Optional[Path] = None,
    guest: Optional[Mapping[str, str]] = None,
    worlds: Optional[Sequence[tuple[int, int]]] = None,
) -> Counts:
    """Runs a program on a modelled core and returns the counts of its last marked frame.

    Parameters
    ----------
    command : sequence of str
        The aarch64 program and its arguments.
    core : str
        The name of a page in ``cores/``.
    steps : int
        What `Counts.steps` is to be.
    skip : int
        So many marked frames run without the model.
    root : Path, optional
        Folder with the libraries of the program; the ``/proc`` and ``/sys`` of a board are put there.
    guest : mapping, optional
        Further environment variables of the program.
    worlds : sequence of (int, int), optional
        Those to follow; default: all of `WORLDS`.

    Raises
    ------
    BackendError
        QEMU or a compiler is missing, or the program failed.
    """
    plugin, worlds = build_plugin(), worlds or WORLDS[core]
    with tempfile.TemporaryDirectory(prefix="edgecnn-forecast-") as folder:
        report = Path(folder) / "report"
        emulated = _board_files(Path(folder) / "root", core, root)
        followed = "+".join(f"{kib}:{dram}" for kib, dram in worlds)
        page = HERE / "cores" / f"{core}.txt"
        options = f"{plugin},core={page},worlds={followed},skip={skip},report={report}"
        environment = [part for key, value in (guest or {}).items() for part in ("-E", f"{key}={value}")]
        line = [qemu(), "-cpu", core, "-L", str(emulated), *environment, "-plugin", options, *command]
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode != 0 or not report.exists():
            problem = (done.stderr or done.stdout).strip().splitlines()
            raise BackendError(f"{command[0]} under {QEMU} failed: {problem[-1] if problem else done.returncode}")
        return parse_report(report.read_text(), core, steps, worlds).grouped()


def qemu() -> str:
    """The path of QEMU; BackendError where it is missing or cannot load plugins."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise BackendError(
            f"forecasts are made on x86-64 Linux, this is {platform.system()} {platform.machine()}; "
            "on a board, edgecnn-bench without --board measures"
        )
    path = shutil.which(QEMU)
    if path is None:
        raise BackendError(QEMU_PACKAGE)
    usage = subprocess.run([path, "-h"], capture_output=True, text=True).stdout
    if "-plugin" not in usage:
        raise BackendError(f"{path} cannot load plugins; {QEMU_PACKAGE}")
    return path


def build_plugin() -> Path:
    """Compiles the plugin, once for each state of its sources."""
    sources = sorted((HERE / "plugin").glob("*.[ch]"))
    state = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    plugin = cache_folder() / f"plugin-{state}.so"
    if not plugin.exists():
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            raise BackendError("the forecast compiles its plugin at first use: apt-get install gcc")
        draft = plugin.with_suffix(f".{os.getpid()}")
        flags = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", str(draft)]
        command = [compiler, *flags, *[str(source) for source in sources if source.suffix == ".c"]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise BackendError(f"{compiler} could not compile the forecast's plugin:\n{done.stderr.strip()}")
        os.replace(draft, plugin)
    return plugin


def runner() -> Path:
    """An ecnn-run for aarch64: the one that $EDGECNN_RUN names, or one that is built from the sources beside us."""
    chosen = os.environ.get("EDGECNN_RUN")
    if chosen:
        if not Path(chosen).is_file():
            raise BackendError(f"EDGECNN_RUN={chosen}: there is no such file")
        return Path(chosen)
    sources = HERE.parent.parent / "csrc"
    if not (sources / "CMakeLists.txt").exists():
        raise BackendError(
            "the forecast runs ecnn-run for aarch64: set EDGECNN_RUN to one (cross-built as docs/forecast.md says), "
            "or use a checkout of edgecnn, where it is built at first use"
        )
    for program, package in (("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"), ("cmake", "cmake")):
        if shutil.which(program) is None:
            raise BackendError(f"the forecast builds ecnn-run for aarch64 at first use: apt-get install {package}")
    place = hashlib.sha256(str(sources).encode()).hexdigest()[:8]
    build = cache_folder() / f"aarch64-{place}"
    toolchain = sources / "cmake" / "aarch64-linux-gnu.cmake"
    for command in (
        ["cmake", "-S", str(sources), "-B", str(build), f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"],
        ["cmake", "--build", str(build), "--target", "ecnn-run", "-j", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            problem = (done.stderr or done.stdout).strip()[-2000:]
            raise BackendError(f"ecnn-run for aarch64 could not be built:\n{problem}")
    return build / "ecnn-run"


def cache_folder() -> Path:
    """Where the plugin and ecnn-run are kept: beside the plans; in a folder of this process where those are off."""
    plans = plan_cache.folder()
    own = Path(tempfile.gettempdir()) / f"edgecnn-forecast-{os.getuid()}"
    folder = Path(plans).parent / "forecast" if plans else own
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _board_files(folder: Path, core: str, root: Optional[Path]) -> Path:
    """A root for ``qemu-aarch64 -L``: *root* by links, and the /proc and /sys of a board instead of this machine's."""
    folder.mkdir()
    for entry in root.iterdir() if root else ():
        if entry.name not in ("proc", "sys", "dev", "tmp"):
            (folder / entry.name).symlink_to(entry.resolve())
    midr = MIDR[core]
    fields = {
        "Features": "fp asimd evtstrm crc32 cpuid" + FEATURES.get(core, ""),
        "CPU implementer": hex(midr >> 24),
        "CPU architecture": "8",
        "CPU variant": hex(midr >> 20 & 15),
        "CPU part": hex(midr >> 4 & 0xFFF),
        "CPU revision": str(midr & 15),
    }
    cpus = folder / "sys/devices/system/cpu"
    cpus.mkdir(parents=True)
    text = ""
    for name in ("possible", "present", "online"):
        (cpus / name).write_text("0-3\n")
    for k in range(4):
        text += f"processor\t: {k}\n" + "".join(f"{key}\t: {value}\n" for key, value in fields.items()) + "\n"
        registers = cpus / f"cpu{k}/regs/identification"
        registers.mkdir(parents=True)
        (registers / "midr_el1").write_text(f"{midr:#018x}\n")
        own, all_four = ("%x" % (1 << k), str(k)), ("f", "0-3")
        levels = [(1, "Data", L1_KIB[core], own), (1, "Instruction", L1_KIB[core], own)]
        for index, (level, kind, kib, shared) in enumerate([*levels, (2, "Unified", WORLDS[core][0][0], all_four)]):
            cache = cpus / f"cpu{k}/cache/index{index}"
            cache.mkdir(parents=True)
            facts = {"level": level, "type": kind, "size": f"{kib}K", "shared_cpu_map": shared[0]}
            for name, value in {**facts, "shared_cpu_list": shared[1]}.items():
                (cache / name).write_text(f"{value}\n")
    (folder / "proc").mkdir()
    (folder / "proc/cpuinfo").write_text(text)
    return folder
