"""What edgecnn says of a machine, from trees of files like those of real boards (`tests/machines/`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.benchmark import machine

MACHINES = Path(__file__).resolve().parent / "machines"


def plant(name: str, root: Path) -> Path:
    """Unpacks a described machine below *root*: each line "== PATH" begins a file."""
    for part in (MACHINES / f"{name}.txt").read_text().split("== ")[1:]:
        path, _, text = part.partition("\n")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_pi_4(tmp_path: Path) -> None:
    found = machine.describe(plant("pi4", tmp_path))
    assert found["board"] == "Raspberry Pi 4 Model B Rev 1.2" and found["cpu"] == "4x Cortex-A72"
    assert found["clocks"] == [{"cpus": "0 1 2 3", "mhz": 1500, "max_mhz": 1500, "governor": "performance"}]
    assert found["temperature_c"] == 47.712 and found["memory_mib"] == 3793 and found["available_mib"] == 3340
    assert found["throttling"] == "none" and found["load"] == 0.08
    # A fan that turns slows nothing.
    assert machine.state(tmp_path) == {"temperature_c": 47.712, "mhz": [1500], "slowed": []}
    assert not any(machine.throttle_events(tmp_path).values())


def test_pi_3_that_is_throttled(tmp_path: Path) -> None:
    found = machine.describe(plant("pi3_throttled", tmp_path))
    assert found["cpu"] == "4x Cortex-A53" and found["governor"] == "ondemand"
    assert (found["mhz"], found["max_mhz"]) == (600, 1200)
    assert found["throttling"] == (
        "under-voltage now, throttled now, under-voltage has occurred, throttling has occurred"
    )
    assert machine.state(tmp_path)["slowed"] == ["under-voltage now", "throttled now"]
    before = machine.throttle_events(tmp_path)
    assert before["throttling has occurred"] == 1 and before["frequency capping has occurred"] == 0


def test_big_and_little_cores(tmp_path: Path) -> None:
    found = machine.describe(plant("rk3399", tmp_path))
    assert found["board"] == "Pine64 RockPro64 v2.1" and found["cpu"] == "4x Cortex-A53 + 2x Cortex-A72"
    assert [row["cpus"] for row in found["clocks"]] == ["0 1 2 3", "4 5"] and found["max_mhz"] == 1800
    assert machine.state(tmp_path) == {
        "temperature_c": 79.444,
        "mhz": [1416, 1200],
        "slowed": ["thermal-cpufreq-1 slows the processor (3 of 7 steps)"],
    }


def test_pc(tmp_path: Path) -> None:
    found = machine.describe(plant("laptop", tmp_path))
    assert found["cpu"].startswith("11th Gen Intel") and found["board"] == "" and found["throttling"] is None
    assert machine.throttle_events(tmp_path) == {"the processor has throttled itself": 19}


def test_machine_that_tells_nothing(tmp_path: Path) -> None:
    found = machine.describe(tmp_path)
    for key in ("mhz", "max_mhz", "governor", "temperature_c", "throttling", "load", "memory_mib"):
        assert found[key] is None
    assert found["clocks"] == [] and found["cpu"] and found["cores"] >= 1
    assert machine.state(tmp_path) == {"temperature_c": None, "mhz": [], "slowed": []}


def test_files_of_nonsense_are_survived(tmp_path: Path) -> None:
    plant("pi4", tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.write_bytes(b"\xff\xfe nonsense :\n\n-\x00")
    found = machine.describe(tmp_path)
    assert found["mhz"] is None and found["temperature_c"] is None and found["load"] is None
    assert machine.state(tmp_path)["slowed"] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor : 0\nmodel name\t: Intel(R) Xeon(R)\n", "Intel(R) Xeon(R)"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd08\n" * 4, "4x Cortex-A72"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd46\n" * 4, "4x Cortex-A510"),
    ],
)
def test_cpu_names(text: str, name: str) -> None:
    assert machine.cpu_name(text) == name


def test_throttling() -> None:
    bits = machine.throttle_bits("throttled=0x50005\n")
    assert bits == 0x50005 and machine.throttle_bits("throttled=0x0\n") == 0
    assert machine.throttle_text(0) == "none"
    assert machine.throttle_text(bits) == (
        "under-voltage now, throttled now, under-voltage has occurred, throttling has occurred"
    )
    assert machine.throttle_bits("error") is None
