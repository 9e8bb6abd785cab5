"""What `edgecnn.tune` measured on this machine, kept for later loads: times of kernels by layer, of threads by model.

All of it is one small JSON file, ``verdicts.json`` in the folder of the plan cache, keyed by machine, since a home
folder may be shared by several. Verdicts of another version of edgecnn are not used. Nothing here raises: a file that
cannot be read or is damaged holds no verdicts, and then estimates decide.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import edgecnn
from edgecnn.files import digest, write_whole

FILE = "verdicts.json"
# Milliseconds by kernel, by the key of a layer (plan/select.py); by number of threads, by the name of a model.
Layers = Mapping[str, Mapping[str, float]]
Threads = Mapping[str, Mapping[int, float]]

CPU_FIELDS = ("model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part", "CPU revision")


def machine() -> str:
    """What CPU this is: two machines of one name run kernels alike."""
    facts: list[str] = []
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() in CPU_FIELDS:
                facts.append(f"{key.strip()}={value.strip()}")
    known = sorted(set(facts))
    return ", ".join([*known, f"{os.cpu_count()} processors"])


def layers(folder: str | None) -> Layers:
    """Measured milliseconds of the kernels of layers."""
    found = _of_machine(folder).get("layers")
    return {key: times for key, times in found.items() if _is_times(times)} if isinstance(found, dict) else {}


def threads(folder: str | None) -> int | None:
    """The number of threads that suits the models tuned here best; None where none was.

    That with the smallest product of times, each model counting alike.
    """
    found = _of_machine(folder).get("threads")
    models = [times for times in found.values() if _is_times(times)] if isinstance(found, dict) else []
    counts = set.intersection(*(set(times) for times in models)) if models else set()
    valid = [int(count) for count in counts if count.isdecimal() and 1 <= int(count) <= 256]
    if not valid:
        return None
    return min(sorted(valid), key=lambda count: sum(math.log(times[str(count)]) for times in models))


def selection_key(folder: str | None) -> str:
    """Changes with the verdicts: part of the name under which a plan is cached."""
    known = layers(folder)
    return digest(json.dumps(known, sort_keys=True)) if known else ""


def remember(folder: str | None, new_layers: Layers, new_threads: Threads) -> bool:
    """Adds verdicts to those of this machine; whether they could be written."""
    if folder is None:
        return False
    everything = _read(folder)
    mine = everything.setdefault(machine(), {}).setdefault(edgecnn.__version__, {})
    for kind, new in (("layers", new_layers), ("threads", new_threads)):
        known = mine.get(kind)
        merged = dict(known) if isinstance(known, dict) else {}
        merged.update({key: {str(name): ms for name, ms in times.items()} for key, times in new.items()})
        mine[kind] = merged
    try:
        os.makedirs(folder, exist_ok=True)
        write_whole(os.path.join(folder, FILE), json.dumps(everything, indent=1, sort_keys=True).encode())
    except OSError:
        return False
    return True


def forget(folder: str | None) -> None:
    """Removes the verdicts of all machines."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder or "", FILE))


def _of_machine(folder: str | None) -> dict[str, Any]:
    everything = _read(folder) if folder is not None else {}
    found = everything[machine()].get(edgecnn.__version__) if everything and machine() in everything else None
    return found if isinstance(found, dict) else {}


def _read(folder: str) -> dict[str, dict[str, Any]]:
    try:
        with open(os.path.join(folder, FILE), encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return {k: v for k, v in content.items() if isinstance(v, dict)} if isinstance(content, dict) else {}


def _is_times(times: object) -> bool:
    """Whether this maps names to milliseconds."""
    return (
        isinstance(times, dict)
        and len(times) > 0
        and all(type(ms) in (int, float) and math.isfinite(ms) and ms > 0 for ms in times.values())
    )
