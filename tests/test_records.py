"""The dataclass of edgecnn.graph.records against that of Python."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from edgecnn.graph import ops, records


@dataclasses.dataclass(frozen=True)
class Standard:
    a: int
    b: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("negative")


@records.dataclass(frozen=True)
class Cheap:
    """Fields as those of `Standard`."""

    a: int
    b: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("negative")


def test_it_does_what_the_standard_one_does() -> None:
    for kind in (Standard, Cheap):
        one, same, other = kind(3), kind(a=3, b=(1, 2)), kind(3, (4,))
        assert one == same and hash(one) == hash(same) and one != other
        assert repr(other) == f"{kind.__name__}(a=3, b=(4,))"
        assert dataclasses.replace(one, b=(4,)) == other
        assert dataclasses.asdict(other) == {"a": 3, "b": (4,)}
        assert [field.name for field in dataclasses.fields(kind)] == ["a", "b"]
        assert copy.deepcopy(one) == one == pickle.loads(pickle.dumps(one))
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.a = 4  # type: ignore[misc]
        with pytest.raises(dataclasses.FrozenInstanceError):
            del one.a
        for wrong in ({}, {"a": 1, "c": 2}):
            with pytest.raises(TypeError):
                kind(**wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="negative"):
            kind(-1)
    assert Cheap(3) != Standard(3)


def test_operators_of_different_kinds_are_different() -> None:
    assert ops.Transpose((0, 1)) != ops.Reshape((0, 1))
    assert len({ops.Softmax(1), ops.Softmax(1), ops.Softmax(2)}) == 2
