"""What machine this is, and what state it is in: read from /proc and /sys; None where a system does not tell.

Everything is read below a root folder, so that a machine can be described by a tree of small files
(`tests/machines/`). What a core is called stands in one place, `csrc/cpu/cores.cc`.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path("/")

# Bits of `vcgencmd get_throttled` on a Raspberry Pi: those of now, and 16 higher those since it was switched on.
NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
BEFORE = {16: "under-voltage", 17: "frequency capping", 18: "throttling", 19: "soft temperature limit"}
FIRMWARE_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"


def describe(root: Path = ROOT) -> dict[str, Any]:
    """The machine and its state as plain data."""
    memory = _memory(root)
    clocks = _clocks(root)
    first: dict[str, Any] = clocks[0] if clocks else {}
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_name(_read(root / "proc/cpuinfo")),
        "board": (_read(root / "proc/device-tree/model") or "").rstrip("\0\n"),
        "cores": available_cores(),
        "clocks": clocks,
        "mhz": first.get("mhz"),
        "max_mhz": max((row["max_mhz"] for row in clocks if row["max_mhz"]), default=None),
        "governor": first.get("governor"),
        "temperature_c": temperature(root),
        "throttling": throttling(root),
        "load": load(root),
        "memory_mib": memory.get("MemTotal"),
        "available_mib": memory.get("MemAvailable"),
    }


def state(root: Path = ROOT) -> dict[str, Any]:
    """What changes while a benchmark runs, cheap enough to be asked between two bursts.

    ``slowed`` lists what holds the processor back at this moment, in words.
    """
    flags = _firmware_bits(root)
    slowed = [f"{text} now" for bit, text in NOW.items() if flags is not None and flags >> bit & 1]
    if not slowed:  # the firmware of a Pi knows better than the rest
        slowed = _cooling(root)
    return {
        "temperature_c": temperature(root),
        "mhz": [row["mhz"] for row in _clocks(root)],
        "slowed": slowed,
    }


def throttle_events(root: Path = ROOT) -> dict[str, int]:
    """Counters that only grow: what a run adds to them, it was throttled by."""
    events: dict[str, int] = {}
    flags = _firmware_bits(root)
    if flags is not None:
        events.update({f"{text} has occurred": flags >> bit & 1 for bit, text in BEFORE.items()})
    total = 0
    for file in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")):
        total += _number(file) or 0
    events["the processor has throttled itself"] = total
    return events


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name(cpuinfo: str | None) -> str:
    """The processor's name from the text of /proc/cpuinfo: x86 names itself, ARM gives numbers of designs."""
    text = cpuinfo or ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    if model and "implementer" not in text:
        return model.group(1).strip()
    designs = _designs(text)
    if designs:
        return " + ".join(f"{many}x {name}" for name, many in designs.items())
    return platform.processor() or platform.machine() or "unknown"


def _designs(cpuinfo: str) -> dict[str, int]:
    try:
        from edgecnn import _core
    except ImportError:  # not built: only `edgecnn doctor` comes here
        parts = re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]+)", cpuinfo, re.MULTILINE)
        return {f"ARM part {part}": parts.count(part) for part in parts}
    return _core.name_cores(cpuinfo)


def temperature(root: Path = ROOT) -> float | None:
    """The hottest sensor in degrees Celsius."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    found = [value / 1000 for value in map(_number, zones) if value is not None]
    return max(found, default=None)


def throttling(root: Path = ROOT) -> str | None:
    """What holds or has held this machine back: "none" or a list; None where it does not tell."""
    bits = _firmware_bits(root)
    if bits is not None:
        return throttle_text(bits)
    return ", ".join(_cooling(root)) or ("none" if _cooling_devices(root) else None)


def throttle_text(bits: int) -> str:
    """The meaning of what `vcgencmd get_throttled` prints."""
    words = [f"{text} now" for bit, text in NOW.items() if bits >> bit & 1]
    words += [f"{text} has occurred" for bit, text in BEFORE.items() if bits >> bit & 1]
    return ", ".join(words) or "none"


def throttle_bits(output: str) -> int | None:
    """The number in what `vcgencmd get_throttled` prints."""
    match = re.search(r"throttled=(0x[0-9a-fA-F]+)", output)
    return int(match.group(1), 16) if match else None


def _firmware_bits(root: Path) -> int | None:
    """The throttling flags of a Raspberry Pi: from its firmware's file, else by asking ``vcgencmd``."""
    text = (_read(root / FIRMWARE_FLAGS) or "").strip()
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,8}", text):
        return int(text, 16)
    if root != ROOT or not (_read(root / "proc/device-tree/model") or "").startswith("Raspberry Pi"):
        return None
    try:
        result = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return throttle_bits(result.stdout)


def _cooling_devices(root: Path) -> Sequence[Path]:
    """Those that cool by making processors slower."""
    folders = sorted((root / "sys/class/thermal").glob("cooling_device*"))
    return [folder for folder in folders if "cpufreq" in (_read(folder / "type") or "")]


def _cooling(root: Path) -> list[str]:
    active = []
    for folder in _cooling_devices(root):
        step, steps = _number(folder / "cur_state"), _number(folder / "max_state")
        if step:
            active.append(f"{(_read(folder / 'type') or '').strip()} slows the processor ({step} of {steps} steps)")
    return active


def _clocks(root: Path) -> list[dict[str, Any]]:
    """The groups of processors that share a clock."""
    cpufreq = root / "sys/devices/system/cpu/cpufreq"
    rows = []
    for folder in sorted(cpufreq.glob("policy*"), key=lambda path: int(path.name[6:] or 0)):
        rows.append(
            {
                "cpus": (_read(folder / "affected_cpus") or _read(folder / "related_cpus") or "").strip(),
                "mhz": _mhz(folder / "scaling_cur_freq"),
                "max_mhz": _mhz(folder / "cpuinfo_max_freq"),
                "governor": (_read(folder / "scaling_governor") or "").strip() or None,
            }
        )
    return rows


def load(root: Path = ROOT) -> float | None:
    """Programs that want a processor, averaged over the last minute."""
    words = (_read(root / "proc/loadavg") or "").split()
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return None


def _memory(root: Path) -> dict[str, int]:
    """Lines of /proc/meminfo in MiB."""
    rows = re.findall(r"^(\w+):\s+(\d+) kB$", _read(root / "proc/meminfo") or "", re.MULTILINE)
    return {name: int(kib) // 1024 for name, kib in rows}


def _mhz(file: Path) -> float | None:
    value = _number(file)
    return None if value is None else value / 1000


def _number(file: Path) -> int | None:
    text = (_read(file) or "").strip()
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else None


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
