"""What a model file knows beside its graph: labels, how a picture becomes its input, how its outputs become boxes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from edgecnn.errors import InputError
from edgecnn.graph.records import dataclass


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes the input tensor: resize, choose colour order, then ``(pixel - mean) * scale`` per channel.

    Width, height and channels are those of the graph's input; the layout (NCHW or NHWC) follows from its shape.
    """

    color: str = "rgb"  # "rgb", "bgr" or "grey"
    resize: str = "stretch"  # "stretch" or "letterbox"
    mean: tuple[float, ...] = (0.0,)  # one value, or one per channel; in units of 0..255 pixels
    scale: tuple[float, ...] = (1.0 / 255.0,)


COLORS, RESIZES = ("rgb", "bgr", "grey"), ("stretch", "letterbox")


def changed(preprocess: Preprocess, changes: Preprocess | Mapping[str, Any]) -> Preprocess:
    """*changes* itself, or *preprocess* with the fields that it names; a number stands for all channels.

    Raises
    ------
    InputError
        There is no such field, or no such value of it.
    """
    if isinstance(changes, Preprocess):
        return changes
    names = [f.name for f in dataclasses.fields(Preprocess)]
    values = dict(changes)
    for name, value in values.items():
        if name in ("mean", "scale"):
            numbers = (value,) if isinstance(value, (int, float)) else tuple(value)
            if len(numbers) not in (1, 3) or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in numbers):
                raise InputError(f"{name} is one number, or one for each of three channels, not {value!r}")
            values[name] = tuple(float(v) for v in numbers)
        elif name not in names:
            raise InputError(f"preprocess has no {name!r}; it has {', '.join(names)}")
        elif value not in (COLORS if name == "color" else RESIZES):
            raise InputError(f"{name} is one of {', '.join(COLORS if name == 'color' else RESIZES)}, not {value!r}")
    return dataclasses.replace(preprocess, **values)


@dataclass(frozen=True)
class YoloHead:
    """One output of a detector and the numbers that its decoding needs. Formulas: ``edgecnn.yolo.decode``.

    ``output`` names a graph output that holds the *raw* map, before any logistic function or softmax, in Darknet's
    order: (1, anchors * (5 + classes), grid_h, grid_w) for "region" and "yolo", a flat (1, length) vector for
    "detection". The outputs of the other kinds are as their exporters leave them: (1, rows, 5 + classes) for "v5",
    (1, 4 + classes, rows) for "v8", (1, 5 + classes, grid_h, grid_w) for "fastestdet", (1, rows, classes + 4 * boxes)
    for "nanodet", (1, rows, 1 + classes) for "ssd", whose ``box_output`` is (1, rows, 4).
    """

    output: str
    kind: str  # "detection" (YOLOv1), "region" (v2), "yolo" (v3, v4), "v5", "v8", "fastestdet", "nanodet" or "ssd"
    classes: int
    anchors: tuple[tuple[float, float], ...] = ()  # (w, h); region: grid cells; yolo: input pixels, the masked ones
    softmax: bool = True  # class scores by softmax; else by the logistic function (detection: taken as they are)
    side: int = 0  # detection: grid side
    boxes: int = 0  # detection: boxes per cell; nanodet: scores of a side
    sqrt: bool = False  # detection: w and h are stored as square roots
    scale_xy: float = 1.0  # yolo: scale_x_y
    new_coords: bool = False  # yolo: outputs already logistic, w and h squared
    box_output: str = ""  # ssd: the output that holds the corners


@dataclass(frozen=True)
class Metadata:
    """What travels with a graph through passes, plan, export and ``.ecnn``."""

    source: str = ""  # file the graph came from, for messages
    labels: tuple[str, ...] = ()
    preprocess: Preprocess = Preprocess()
    heads: tuple[YoloHead, ...] = ()
    task: str = ""  # "detect", "classify" or "" when unknown


def to_json(metadata: Metadata) -> str:
    """Labels, preprocessing, heads and task as the JSON text that exported model files carry."""
    fields = dataclasses.asdict(metadata)
    del fields["source"]
    return json.dumps(fields)


def from_json(text: str | bytes, source: str = "") -> Metadata:
    """The inverse of `to_json`; ValueError where *text* is not what it wrote."""
    try:
        fields = json.loads(text)
    except RecursionError:
        raise ValueError("metadata is nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError("metadata is not a JSON object")
    heads = fields.get("heads", [])
    if not isinstance(heads, list):
        raise ValueError("metadata: heads is not a list")
    return Metadata(
        source=source,
        labels=_checked((), fields.get("labels", []), str),
        preprocess=_dataclass(Preprocess, fields.get("preprocess", {})),
        heads=tuple(_dataclass(YoloHead, head) for head in heads),
        task=_checked("", fields.get("task", "")),
    )


def _dataclass(kind: Any, fields: Any) -> Any:
    if not isinstance(fields, dict):
        raise ValueError(f"metadata: {kind.__name__} is not a JSON object")
    defaults = {"output": "", "kind": "", "classes": 0}  # the fields of YoloHead that have none
    known = {}
    for f in dataclasses.fields(kind):
        if f.name in fields:
            default = defaults[f.name] if f.default is dataclasses.MISSING else f.default
            known[f.name] = _anchors(fields[f.name]) if f.name == "anchors" else _checked(default, fields[f.name])
        elif f.default is dataclasses.MISSING:
            raise ValueError(f"metadata: {kind.__name__} lacks {f.name!r}")
    return kind(**known)


def _anchors(pairs: Any) -> tuple[Any, ...]:
    if not isinstance(pairs, list):
        raise ValueError("metadata: anchors is not a list")
    checked = tuple(_checked((), pair) for pair in pairs)
    if any(len(pair) != 2 for pair in checked):
        raise ValueError("metadata: an anchor is not a pair")
    return checked


def _checked(default: Any, value: Any, item: type = float) -> Any:
    """*value* with the type of *default*; a tuple's elements are of type *item*."""
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise ValueError(f"metadata: {value!r} is not a list")
        return tuple(_checked(item(), element) for element in value)
    if isinstance(default, float) and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not type(default) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"metadata: {value!r} is not a {type(default).__name__}")
    return value
