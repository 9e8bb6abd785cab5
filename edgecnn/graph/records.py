"""A `dataclass` that costs little to import.

The standard one compiles six methods for each class, half a millisecond of work, and a model's first load imports
fifty classes: that was as much as all the rest of loading a small model. Here classes share five of the six.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Callable, NoReturn

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """As `dataclasses.dataclass` with ``frozen=True``; `fields`, `replace` and `asdict` work alike.

        Defaults are values, of types that cannot be changed; there are no factories.
        """
        assert frozen
        return _frozen


def _frozen(cls: type) -> type:
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    assert all(field.default_factory is dataclasses.MISSING for field in fields)
    defaults = {f"_{field.name}": field.default for field in fields if field.default is not dataclasses.MISSING}
    parameters = [f.name + (f"=_{f.name}" if f"_{f.name}" in defaults else "") for f in fields]
    body = f"self.__dict__.update({', '.join(f'{f.name}={f.name}' for f in fields)})"
    if hasattr(cls, "__post_init__"):
        body += "; self.__post_init__()"
    exec(f"def __init__({', '.join(['self', *parameters])}): {body}", defaults)
    cls.__init__ = defaults["__init__"]  # type: ignore[misc]
    for method in (__setattr__, __delattr__, __eq__, __hash__, __repr__):
        setattr(cls, method.__name__, method)
    return cls


def _values(self: Any) -> list[tuple[str, Any]]:
    return [(name, self.__dict__[name]) for name in self.__dataclass_fields__]


def __setattr__(self: Any, name: str, value: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def __eq__(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def __hash__(self: Any) -> int:
    return hash(tuple(_values(self)))


def __repr__(self: Any) -> str:
    return f"{self.__class__.__qualname__}({', '.join(f'{name}={value!r}' for name, value in _values(self))})"
