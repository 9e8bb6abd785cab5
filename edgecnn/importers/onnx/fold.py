"""Operators whose result is known at import: constants, shapes, and the arithmetic on them.

`HOST` is the table of those that only exist here, or work here on any type of element; what is not in it and has only
known inputs is imported into a graph of its own, which the numpy reference runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from edgecnn.graph import reference
from edgecnn.graph.ir import GraphBuilder
from edgecnn.importers.onnx.context import Context
from edgecnn.importers.onnx.operators import IMPORTERS
from edgecnn.importers.onnx.proto import DTYPES

Array = np.ndarray
MAX_RANGE = 1 << 24


def fold(c: Context) -> bool:
    """Computes the outputs of the node of *c* into ``c.known``; False where it has to be computed in the graph."""
    kind = c.node.kind
    if kind in ("Constant", "Shape", "Size"):
        return _set(c, [{"Constant": constant, "Shape": shape, "Size": size}[kind](c)])
    if not c.node.inputs or not all(not c.has(i) or c.is_known(i) for i in range(len(c.node.inputs))):
        return False
    arrays = [c.array(i) for i in range(len(c.node.inputs)) if c.has(i)]
    if kind in HOST and not (kind in IMPORTERS and all(a.dtype == np.float32 for a in arrays)):
        return _set(c, [np.asarray(HOST[kind](c, *arrays))])
    return kind in IMPORTERS and _by_reference(c)


def _set(c: Context, results: Sequence[Array]) -> bool:
    outputs = [o for o in c.node.outputs if o]
    if len(outputs) != len(results):
        raise c.damaged(f"has {len(outputs)} outputs instead of {len(results)}")
    for output, array in zip(outputs, results):
        c.spend(array.size)
        c.known[output] = array
    return True


def _by_reference(c: Context) -> bool:
    """Imports the node into a graph of its own and lets the reference run it."""
    scratch = Context(c.file, GraphBuilder("constants", c.file.label), frozenset())
    scratch.node = c.node
    scratch.known = {name: a for name in c.node.inputs if name and (a := c.constant_of(name)) is not None}
    for name, array in scratch.known.items():
        scratch.values[name] = scratch.builder.constant(array, name)
    IMPORTERS[c.node.kind](scratch)
    outputs = [scratch.values[o] for o in c.node.outputs if o]
    c.spend(sum(scratch.builder.values[v].size for v in scratch.builder.values))
    found = reference.run(scratch.builder.finish(outputs), {})
    return _set(c, [found[v] for v in outputs])


# Sources of constants.


def constant(c: Context) -> Array:
    attributes = {k: v for k, v in c.node.attributes.items() if k.startswith(("value", "sparse"))}
    if len(attributes) != 1:
        raise c.damaged("has not exactly one value")
    ((name, value),) = attributes.items()
    if name == "value" and isinstance(value, np.ndarray):
        return value
    if name in ("value_float", "value_floats") and isinstance(value, (float, list)):
        return np.array(value, np.float32)
    if name in ("value_int", "value_ints") and isinstance(value, (int, list)):
        return np.array(value, np.int64)
    raise c.unsupported(f"a constant given as {name!r}")


def shape(c: Context) -> Array:
    dims = c.shape(0)
    start, end = c.integer("start", 0), c.integer("end", len(dims))
    return np.array(dims[slice(start, end)], np.int64)


def size(c: Context) -> Array:
    return np.array(math.prod(c.shape(0)), np.int64)


def constant_of_shape(c: Context, dims: Array) -> Array:
    value = c.attribute("value", np.ndarray, np.zeros(1, np.float32))
    target = _dims(c, dims)
    if value.size != 1:
        raise c.damaged("the value is not one number")
    c.spend(math.prod(target))
    return np.full(target, value.reshape(-1)[0], value.dtype)


def range_(c: Context, start: Array, limit: Array, delta: Array) -> Array:
    if start.size != 1 or limit.size != 1 or delta.size != 1 or not delta.any():
        raise c.damaged("start, limit and delta are not three numbers")
    first, last, step = (a.reshape(()) for a in (start, limit, delta))
    count = (float(last) - float(first)) / float(step)
    if not count < MAX_RANGE:
        raise c.damaged(f"a range of {count} numbers")
    return np.arange(first.item(), last.item(), step.item(), dtype=start.dtype)


def _dims(c: Context, array: Array) -> tuple[int, ...]:
    if array.dtype.kind != "i" or array.ndim != 1 or array.size > 8 or (array < 0).any():
        raise c.damaged(f"{array.dtype} of shape {array.shape} is not a shape")
    return tuple(int(d) for d in array)


# Arithmetic.


def elementwise(function: Callable[..., Any]) -> Callable[..., Array]:
    """A broadcasting numpy function of the inputs; bounded before it is called."""

    def host(c: Context, *arrays: Array) -> Array:
        c.spend(math.prod(np.broadcast_shapes(*(a.shape for a in arrays))))
        return np.asarray(function(*arrays))

    return host


def variadic(function: Callable[..., Any]) -> Callable[..., Array]:
    def host(c: Context, *arrays: Array) -> Array:
        result = arrays[0]
        for array in arrays[1:]:
            result = elementwise(function)(c, result, array)
        return result

    return host


def divide(a: Array, b: Array) -> Array:
    """Integers are divided towards zero, as C has it."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not np.all(b):
        raise ValueError("division by zero")
    return np.asarray((np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype))


def power(a: Array, b: Array) -> Array:
    if b.dtype.kind == "i" and (b < 0).any() and a.dtype.kind == "i":
        raise ValueError("a negative power of an integer")
    return np.asarray(np.power(a, b)).astype(a.dtype)


def modulo(c: Context, a: Array, b: Array) -> Array:
    if a.dtype.kind == "i" and not np.all(b):
        raise c.damaged("division by zero")
    return elementwise(np.fmod if c.flag("fmod") else np.mod)(c, a, b)


def cast(c: Context, x: Array) -> Array:
    to = c.integer("to", 0)
    if to not in DTYPES:
        raise c.unsupported(f"conversion to the element type {to}")
    return x.astype(DTYPES[to][0])


def gather(c: Context, x: Array, indices: Array) -> Array:
    axis = c.axis(c.integer("axis", 0), x.ndim)
    if indices.dtype.kind != "i":
        raise c.damaged(f"indices of type {indices.dtype}")
    c.spend(math.prod((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])))
    return np.take(x, indices, axis=axis)


def reduce(function: Callable[..., Any]) -> Callable[..., Array]:
    def host(c: Context, x: Array, axes_input: Array | None = None) -> Array:
        axes = c.axes(1)
        if not axes and c.flag("noop_with_empty_axes"):
            return x
        resolved = tuple({c.axis(a, x.ndim) for a in axes}) if axes else None
        return np.asarray(function(x, axis=resolved, keepdims=c.flag("keepdims", True))).astype(x.dtype)

    return host


def non_zero(c: Context, x: Array) -> Array:
    c.spend(x.size * max(x.ndim, 1))
    return np.array(np.nonzero(np.atleast_1d(x)), np.int64)


HOST: dict[str, Callable[..., Array]] = {
    "ConstantOfShape": constant_of_shape,
    "Range": range_,
    "NonZero": non_zero,
    "Cast": cast,
    "Gather": gather,
    "Where": elementwise(np.where),
    "Equal": elementwise(np.equal),
    "Less": elementwise(np.less),
    "LessOrEqual": elementwise(np.less_equal),
    "Greater": elementwise(np.greater),
    "GreaterOrEqual": elementwise(np.greater_equal),
    "And": elementwise(np.logical_and),
    "Or": elementwise(np.logical_or),
    "Not": elementwise(np.logical_not),
    "Add": elementwise(np.add),
    "Sub": elementwise(np.subtract),
    "Mul": elementwise(np.multiply),
    "Div": elementwise(divide),
    "Mod": modulo,
    "Pow": elementwise(power),
    "Abs": elementwise(np.abs),
    "Neg": elementwise(np.negative),
    "Sign": elementwise(np.sign),
    "Floor": elementwise(np.floor),
    "Ceil": elementwise(np.ceil),
    "Round": elementwise(np.round),
    "Sqrt": elementwise(np.sqrt),
    "Max": variadic(np.maximum),
    "Min": variadic(np.minimum),
    "Sum": variadic(np.add),
    "ReduceProd": reduce(np.prod),
    "ReduceSum": reduce(np.sum),
    "ReduceMax": reduce(np.max),
    "ReduceMin": reduce(np.min),
    "ReduceMean": reduce(np.mean),
}
