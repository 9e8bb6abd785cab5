"""What machine this is, and what state it is in: read from /proc and /sys; None where a system does not tell."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

CPU = Path("/sys/devices/system/cpu")

# ARM's part numbers, as /proc/cpuinfo shows them.
ARM_PARTS = {
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD41: "Cortex-A78",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
}

# Bits of `vcgencmd get_throttled` on a Raspberry Pi.
THROTTLE_BITS = {
    0: "under-voltage now",
    1: "frequency capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage has occurred",
    17: "frequency capping has occurred",
    18: "throttling has occurred",
    19: "soft temperature limit has occurred",
}


def describe() -> dict[str, Any]:
    """The machine and its state as plain data."""
    memory = _memory()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_name(_read("/proc/cpuinfo")),
        "board": (_read("/proc/device-tree/model") or "").rstrip("\0\n"),
        "cores": available_cores(),
        "mhz": _mhz("scaling_cur_freq"),
        "max_mhz": _mhz("cpuinfo_max_freq"),
        "governor": (_read(CPU / "cpu0/cpufreq/scaling_governor") or "").strip() or None,
        "temperature_c": temperature(),
        "throttling": throttling(),
        "memory_mib": memory.get("MemTotal"),
        "available_mib": memory.get("MemAvailable"),
    }


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name(cpuinfo: str | None) -> str:
    """The processor's name from the text of /proc/cpuinfo: x86 names itself, ARM gives part numbers."""
    text = cpuinfo or ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    if model and "implementer" not in text:
        return model.group(1).strip()
    parts = [int(part, 16) for part in re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]+)", text, re.MULTILINE)]
    if parts:
        names = {part: ARM_PARTS.get(part, f"ARM part {part:#x}") for part in parts}
        return " + ".join(f"{parts.count(part)}x {name}" for part, name in names.items())
    return platform.processor() or platform.machine() or "unknown"


def temperature() -> float | None:
    """The hottest sensor in degrees Celsius."""
    found = []
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*/temp")):
        text = (_read(zone) or "").strip()
        if text.lstrip("-").isdigit():
            found.append(int(text) / 1000)
    return max(found, default=None)


def throttling() -> str | None:
    """What a Raspberry Pi says of throttling: "none" or a list; None on other machines."""
    try:
        result = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return throttle_text(result.stdout)


def throttle_text(output: str) -> str | None:
    """The meaning of what `vcgencmd get_throttled` prints."""
    match = re.search(r"throttled=(0x[0-9a-fA-F]+)", output)
    if match is None:
        return None
    bits = int(match.group(1), 16)
    return ", ".join(text for bit, text in THROTTLE_BITS.items() if bits >> bit & 1) or "none"


def _memory() -> dict[str, int]:
    """Lines of /proc/meminfo in MiB."""
    rows = re.findall(r"^(\w+):\s+(\d+) kB$", _read("/proc/meminfo") or "", re.MULTILINE)
    return {name: int(kib) // 1024 for name, kib in rows}


def _mhz(file: str) -> float | None:
    text = (_read(CPU / "cpu0/cpufreq" / file) or "").strip()
    return int(text) / 1000 if text.isdigit() else None


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
