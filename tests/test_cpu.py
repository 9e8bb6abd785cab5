"""What the CPU is: described machines (text of /proc/cpuinfo, folders as in sysfs), not the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn import _core
from edgecnn.errors import BackendError, InputError
from edgecnn.plan.target import TARGETS, host_target
from edgecnn.predictor import check_threads

KIB = 1024


def processors(*parts: tuple[int, int, int], implementer: int = 0x41) -> str:
    """/proc/cpuinfo of a 64-bit ARM machine: (part, variant, revision) of each processor."""
    blocks = [
        f"processor\t: {i}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
        f"CPU implementer\t: {implementer:#x}\nCPU architecture: 8\nCPU variant\t: {variant:#x}\n"
        f"CPU part\t: {part:#x}\nCPU revision\t: {revision}\n"
        for i, (part, variant, revision) in enumerate(parts)
    ]
    return "\n".join(blocks)


PI_3 = processors(*[(0xD03, 0, 4)] * 4) + "\nRevision\t: a02082\nModel\t\t: Raspberry Pi 3 Model B Rev 1.2\n"
PI_4 = processors(*[(0xD08, 0, 3)] * 4) + "\nRevision\t: c03112\nModel\t\t: Raspberry Pi 4 Model B Rev 1.2\n"
PI_5 = processors(*[(0xD0B, 4, 1)] * 4) + "\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
RK3399 = processors(*[(0xD03, 0, 4)] * 4, *[(0xD08, 0, 2)] * 2)
X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Processor\nflags\t\t: fpu avx2 fma\n"


@pytest.mark.parametrize(
    ("text", "cores", "caches"),
    [
        pytest.param(PI_3, {"Cortex-A53": 4}, (32 * KIB, 128 * KIB), id="Pi 3"),
        pytest.param(PI_4, {"Cortex-A72": 4}, (32 * KIB, 256 * KIB), id="Pi 4"),
        pytest.param(PI_5, {"Cortex-A76": 4}, (64 * KIB, 512 * KIB), id="Pi 5"),
        pytest.param(RK3399, {"Cortex-A53": 4, "Cortex-A72": 2}, (32 * KIB, 128 * KIB), id="RK3399"),
        pytest.param(X86, {}, (32 * KIB, 256 * KIB), id="x86"),
        pytest.param("", {}, (32 * KIB, 256 * KIB), id="nothing"),
    ],
)
def test_described_machines(text: str, cores: dict[str, int], caches: tuple[int, int], tmp_path: Path) -> None:
    assert _core.name_cores(text) == cores
    # An empty folder: a system that tells no cache sizes, as that of the Pi 3.
    assert _core.read_cache_sizes(str(tmp_path), text) == caches


def test_unknown_core_is_named_by_its_number() -> None:
    assert _core.name_cores(processors((0x123, 1, 2), implementer=0x61)) == {"MIDR 0x611f1232": 1}


@pytest.mark.parametrize(
    "text", [":", "CPU part", "CPU part\t: 0xd03\n", "CPU implementer\t:\n\n:::\nCPU part : zz", "\n" * 50]
)
def test_strange_cpuinfo_is_survived(text: str) -> None:
    assert all(name.startswith("MIDR") for name in _core.name_cores(text))


def write_cache(cpu: Path, index: int, **files: str) -> None:
    folder = cpu / "cache" / f"index{index}"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")


def test_caches_that_the_system_tells_win(tmp_path: Path) -> None:
    write_cache(tmp_path, 0, level="1", type="Data", size="64K", shared_cpu_list="0")
    write_cache(tmp_path, 1, level="1", type="Instruction", size="48K", shared_cpu_list="0")
    write_cache(tmp_path, 2, level="2", type="Unified", size="2M", shared_cpu_list="0-2,7")
    write_cache(tmp_path, 3, level="3", type="Unified", size="32768K", shared_cpu_list="0-15")
    assert _core.read_cache_sizes(str(tmp_path), PI_3) == (64 * KIB, 512 * KIB)


def test_damaged_cache_files_leave_the_defaults(tmp_path: Path) -> None:
    write_cache(tmp_path, 0, level="1", type="Data", size="", shared_cpu_list="")
    write_cache(tmp_path, 1, level="2", type="Unified", size="junk", shared_cpu_list="9-")
    assert _core.read_cache_sizes(str(tmp_path), PI_5) == (64 * KIB, 512 * KIB)


def test_hardware_threads_of_one_core_count_once(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(["0,4", "1,5", "2,6", "3,7"] * 2):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    assert _core.count_physical_cores(str(tmp_path), list(range(8))) == 4
    assert _core.count_physical_cores(str(tmp_path), [1, 5]) == 1
    assert _core.count_physical_cores(str(tmp_path), [1, 6]) == 2
    assert _core.count_physical_cores(str(tmp_path / "absent"), [0, 1, 2]) == 3


def test_forced_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Cortex-A53", "cortex-a72"):
        monkeypatch.setenv("EDGECNN_UARCH", name)
        assert _core.check_forced_core() == ""
    monkeypatch.setenv("EDGECNN_UARCH", "z80")
    with pytest.raises(BackendError, match="EDGECNN_UARCH=z80: choose one of Cortex-A53, "):
        host_target()


def test_little_cores_are_not_fast(tmp_path: Path) -> None:
    for cpu, capacity in enumerate([446, 446, 1024, 871]):
        (tmp_path / f"cpu{cpu}").mkdir()
        (tmp_path / f"cpu{cpu}" / "cpu_capacity").write_text(f"{capacity}\n")
    assert _core.fast_cpus(str(tmp_path), [0, 1, 2, 3]) == [2, 3]
    assert _core.fast_cpus(str(tmp_path), [0, 1]) == [0, 1]
    assert _core.fast_cpus(str(tmp_path / "absent"), [0, 5]) == [0, 5]
    assert _core.fast_cpus(str(tmp_path), []) == []


def test_threads() -> None:
    assert check_threads(None) == min(4, _core.cpu_info()["fast_cores"]) >= 1
    assert check_threads(7) == 7
    for wrong in (0, -1, 257, True, 2.0, "2"):
        with pytest.raises(InputError, match="from 1 to 256"):
            check_threads(wrong)  # type: ignore[arg-type]


def test_planner_knows_every_compiled_target() -> None:
    for target in _core.targets():
        known = TARGETS[target["name"]]
        assert (known.lanes, known.mr, known.nr) == (target["lanes"], target["mr"], target["nr"])
    assert _core.targets()[-1]["name"] == "portable" and _core.targets()[-1]["supported"]
