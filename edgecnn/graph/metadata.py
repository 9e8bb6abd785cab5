"""What a model file knows beside its graph: labels, how a picture becomes its input, how its outputs become boxes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes the input tensor: resize, choose colour order, then ``(pixel - mean) * scale`` per channel.

    Width, height and channels are those of the graph's input; the layout (NCHW or NHWC) follows from its shape.
    """

    color: str = "rgb"  # "rgb", "bgr" or "grey"
    resize: str = "stretch"  # "stretch" or "letterbox"
    mean: tuple[float, ...] = (0.0,)  # one value, or one per channel; in units of 0..255 pixels
    scale: tuple[float, ...] = (1.0 / 255.0,)


@dataclass(frozen=True)
class YoloHead:
    """One YOLO output map and the numbers that its decoding needs. Formulas: ``edgecnn.yolo.decode``.

    ``output`` names a graph output that holds the *raw* map, before any logistic function or softmax, in Darknet's
    order: (1, anchors * (5 + classes), grid_h, grid_w) for "region" and "yolo", a flat (1, length) vector for "detection".
    """

    output: str
    kind: str  # "detection" (YOLOv1), "region" (YOLOv2) or "yolo" (YOLOv3, v4)
    classes: int
    anchors: tuple[tuple[float, float], ...] = ()  # (w, h); region: grid cells; yolo: input pixels, only the masked ones
    softmax: bool = True  # class scores by softmax (else logistic); detection: are the class scores already probabilities
    side: int = 0  # detection: grid side
    boxes: int = 0  # detection: boxes per cell
    sqrt: bool = False  # detection: w and h are stored as square roots
    scale_xy: float = 1.0  # yolo: scale_x_y
    new_coords: bool = False  # yolo: outputs already logistic, w and h squared


@dataclass(frozen=True)
class Metadata:
    """What travels with a graph through passes, plan, export and ``.ecnn``."""

    source: str = ""  # file the graph came from, for messages
    labels: tuple[str, ...] = ()
    preprocess: Preprocess = field(default_factory=Preprocess)
    heads: tuple[YoloHead, ...] = ()
    task: str = ""  # "detect", "classify" or "" when unknown
