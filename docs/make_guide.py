"""Draws the pictures of docs/guide.md: ``python docs/make_guide.py``. Needs matplotlib and Pillow.

Everything is computed with the readable side of edgecnn: `graph.reference` runs the network, `yolo.decode` decodes.
`steps` gives what the pictures show as arrays.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edgecnn import boxes, zoo
from edgecnn.graph import ops, reference
from edgecnn.graph.metadata import YoloHead
from edgecnn.images import open_picture
from edgecnn.importers import import_model
from edgecnn.yolo import decode
from edgecnn.yolo.preprocessor import Preprocessor

FOLDER = Path(__file__).parent / "guide"
PICTURE = Path(__file__).parent.parent / "models" / "demo.png"
CONF, IOU = 0.25, 0.45
LAYERS = (0, 2, 6)  # of the convolutions and pools, whose maps are shown
COLORS = ("yellow", "magenta", "lime", "white", "cyan", "orange", "red", "gold", "pink", "aqua")  # of the digits


@dataclass
class Steps:
    """What happens to one picture."""

    picture: np.ndarray  # the input, (H, W, 3) RGB, 0 to 1
    maps: list[np.ndarray]  # of some layers, (H, W, C)
    head: YoloHead
    raw: np.ndarray  # the network's output, (channels, grid, grid)
    objectness: np.ndarray  # (anchors, grid, grid)
    best: tuple[int, int, int]  # anchor, row and column of the surest box
    best_box: np.ndarray  # that box, x0 y0 x1 y1 in fractions of the input
    candidates: np.ndarray  # (N, 4) boxes above CONF
    scores: np.ndarray
    classes: np.ndarray
    kept: np.ndarray  # indices of those that NMS keeps
    labels: tuple[str, ...]


def steps(path: Path = PICTURE) -> Steps:
    """Runs `digits` on a picture, step by step."""
    files = zoo.resolve("digits")
    graph = import_model(files.model, files.weights)
    preprocessor = Preprocessor(graph.input_specs[0], files.preprocess)
    preprocessor(open_picture(path))
    x = preprocessor.array

    pooled = [n.outputs[0] for n in graph.nodes if isinstance(n.op, (ops.MaxPool, ops.Conv))]
    shown = [pooled[i] for i in LAYERS]
    found = reference.run(graph, {graph.inputs[0]: x}, fetch=[*shown, *graph.outputs])
    (head,) = graph.metadata.heads
    raw = found[head.output][0]

    size = (preprocessor.width, preprocessor.height)
    grid = raw.shape[1:]
    xyxy, objectness, probability = decode.decode_anchors(head, raw, size)
    candidates, scores, classes = decode.candidates((xyxy, objectness, probability), CONF)
    kept = boxes.reference_nms(candidates, scores, classes, IOU)
    surest = int(np.argmax(objectness * probability.max(axis=1)))
    return Steps(
        x[0].transpose(1, 2, 0),
        [found[name][0] for name in shown],
        head,
        raw,
        objectness.reshape(len(head.anchors), *grid),
        tuple(int(i) for i in np.unravel_index(surest, (len(head.anchors), *grid))),  # type: ignore[arg-type]
        xyxy[surest],
        candidates,
        scores,
        classes,
        kept,
        files.labels,
    )


def main(folder: Path = FOLDER) -> None:
    """Writes the pictures."""
    folder.mkdir(exist_ok=True)
    found = steps()
    figures = {"maps": _maps(found), "grid": _grid(found), "anchors": _anchors(found), "nms": _nms(found)}
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.jpg", dpi=80, pil_kwargs={"quality": 75, "optimize": True})


def _figure(count: int, width: float = 9.0) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, width / count + 0.3), layout="constrained")
    axes = figure.subplots(1, count)
    return figure, list(np.ravel(axes))


def _show(axes: Axes, image: np.ndarray, title: str, grey: bool = False) -> None:
    axes.imshow(image, cmap="gray" if grey else None, extent=(0, 1, 1, 0))
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10)


def _maps(found: Steps) -> Figure:
    figure, axes = _figure(4)
    h, w, _ = found.picture.shape
    _show(axes[0], found.picture, f"input {h}x{w}x3")
    for place, values in zip(axes[1:], found.maps):
        h, w, c = values.shape
        order = np.argsort(-values.std(axis=(0, 1)))[:16]  # the liveliest filters
        tiles = [(values[..., i] - values[..., i].min()) / max(float(np.ptp(values[..., i])), 1e-6) for i in order]
        rows = [np.concatenate(tiles[i : i + 4], axis=1) for i in range(0, 16, 4)]
        _show(place, np.concatenate(rows), f"16 of {c} maps of {h}x{w}", grey=True)
    return figure


def _lines(axes: Axes, grid: int) -> None:
    for i in range(1, grid):
        axes.axhline(i / grid, color="white", linewidth=0.6)
        axes.axvline(i / grid, color="white", linewidth=0.6)


def _box(axes: Axes, box: np.ndarray, color: str, width: float = 1.5, style: str = "-") -> None:
    x0, y0, x1, y1 = (float(v) for v in box)
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color=color, linewidth=width, linestyle=style))


def _grid(found: Steps) -> Figure:
    figure, axes = _figure(2, 7)
    grid = found.objectness.shape[1]
    _show(axes[0], found.picture, f"{grid}x{grid} cells")
    _lines(axes[0], grid)
    _show(axes[1], found.picture, "objectness of each cell's surest anchor")
    axes[1].imshow(found.objectness.max(axis=0), cmap="viridis", alpha=0.75, extent=(0, 1, 1, 0), vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(found.objectness.max(axis=0)):
        if value >= 0.01:
            place = ((column + 0.5) / grid, (row + 0.5) / grid)
            color = "black" if value > 0.5 else "white"
            axes[1].annotate(f"{value:.2f}", place, ha="center", va="center", color=color, fontsize=7)
    return figure


def _anchors(found: Steps) -> Figure:
    figure, axes = _figure(2, 7)
    grid = found.objectness.shape[1]
    anchor, row, column = found.best
    centre = np.array([(column + 0.5) / grid, (row + 0.5) / grid])
    _show(axes[0], found.picture, f"the {len(found.head.anchors)} anchors of a cell")
    _lines(axes[0], grid)
    for i, size in enumerate(np.array(found.head.anchors) / grid):
        _box(axes[0], np.concatenate([centre - size / 2, centre + size / 2]), "yellow" if i == anchor else "white")
    _show(axes[1], found.picture, "the surest one, moved and stretched")
    _lines(axes[1], grid)
    size = np.array(found.head.anchors[anchor]) / grid
    _box(axes[1], np.concatenate([centre - size / 2, centre + size / 2]), "yellow", style=":")
    _box(axes[1], found.best_box, "yellow", 2)
    return figure


def _nms(found: Steps) -> Figure:
    figure, axes = _figure(2, 7)
    for place, rows, title in (
        (axes[0], range(len(found.candidates)), f"{len(found.candidates)} boxes above {CONF}"),
        (axes[1], found.kept, f"{len(found.kept)} after NMS"),
    ):
        _show(place, found.picture, title)
        for i in rows:
            class_id = int(found.classes[i])
            _box(place, found.candidates[i], COLORS[class_id])
            x, y = found.candidates[i][:2]
            text = f"{found.labels[class_id]} {found.scores[i]:.2f}"
            place.annotate(text, (x, y), (1, 2), textcoords="offset points", color=COLORS[class_id], fontsize=7)
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
