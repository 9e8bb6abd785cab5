"""A short form of tests/endurance.py: each fault at least once, between frames of two models."""

from __future__ import annotations

import pytest
from endurance import Failure, Faults, Slot, endure

from edgecnn.zoo.cache import resolve


def slots() -> list[Slot]:
    return [Slot(str(resolve(name).model), None) for name in ("digits", "lenet-digits")]


def test_each_fault_once() -> None:
    assert endure(slots(), seconds=1, threads=3, seed=1) == []


def test_it_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Faults) -> None:
        raise Failure("on purpose")

    monkeypatch.setattr(Faults, "all", lambda self: [lambda: broken(self)])
    wrong = slots()
    for slot in wrong:
        slot.expected = [[] for _ in slot.expected]
    problems = endure(wrong, seconds=0.3, threads=2, seed=1)
    assert any("on purpose" in p for p in problems) and any("frames differ" in p for p in problems)
