"""Targets: an instruction set decides how weights are packed, and so for which machines a plan is good."""

from __future__ import annotations

import os

from edgecnn.errors import BackendError
from edgecnn.graph.records import dataclass


@dataclass(frozen=True)
class Target:
    """An instruction set: ``lanes`` float32 a vector, a register tile of ``mr`` pixels by ``nr`` channels."""

    name: str
    lanes: int
    mr: int
    nr: int


# Plans can be made for any of these on any machine; csrc/targets checks the numbers when it opens one.
TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        Target("x86-avx512", lanes=16, mr=12, nr=32),
        Target("x86-avx2", lanes=8, mr=6, nr=16),
        Target("armv8", lanes=4, mr=8, nr=8),
        Target("armv7", lanes=4, mr=6, nr=8),
        Target("portable", lanes=4, mr=4, nr=8),
    )
}
# The dot product multiplies int8; plans of float32, the only ones there are, are the same with and without it.
ALIASES = {"armv8-dotprod": "armv8"}


def find_target(name: str) -> Target:
    """The target of that name, of this machine where it is "native"; BackendError where there is none."""
    if name == "native":
        return host_target()
    name = ALIASES.get(name, name)
    if name not in TARGETS:
        raise BackendError(f"unknown target {name!r}: choose one of {', '.join((*TARGETS, *ALIASES, 'native'))}")
    return TARGETS[name]


def host_target() -> Target:
    """The best target this machine runs, or the one that the environment variable EDGECNN_ISA names."""
    from edgecnn import _core

    complaint = _core.check_forced_core()
    if complaint:
        raise BackendError(complaint)
    forced = os.environ.get("EDGECNN_ISA")
    runnable = [t["name"] for t in _core.targets() if t["supported"]]
    if not forced:
        return find_target(_core.cpu_info()["target"])
    if forced not in runnable:
        raise BackendError(f"EDGECNN_ISA={forced}: this machine runs {', '.join(runnable)}")
    return find_target(forced)
