"""What ``edgecnn eval --plot`` draws, with matplotlib."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.errors import InputError, MissingDependency
from edgecnn.files import check_writable, write_whole

if TYPE_CHECKING:
    from edgecnn.evaluate.classification import ClassificationResult
    from edgecnn.evaluate.evaluation import Evaluation

FORMATS = (".png", ".svg", ".pdf")
MOST_CURVES = 20  # of classes; of more, those with most boxes are named, the others are grey
MOST_NUMBERS = 30  # a confusion matrix of more classes has no numbers in it


def new_figure(width: float, height: float) -> Any:
    """An empty figure of this size in inches; MissingDependency without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency.for_extra("matplotlib", "plot", "plotting") from None
    return Figure(figsize=(width, height), layout="constrained")


def check_plot(path: str | os.PathLike[str]) -> None:
    """Says before long work why a plot could not be written after it: MissingDependency or InputError."""
    new_figure(1, 1)
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a plot is one of {', '.join(FORMATS)}")
    check_writable(path)


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a figure whole or not at all."""
    data = io.BytesIO()
    figure.savefig(data, format=Path(path).suffix[1:].lower(), dpi=120)
    write_whole(path, data.getvalue())


def plot_curves(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Writes precision against recall at IoU .5, a line a class, and their mean; legend beside the plot, best first.

    Precision is the interpolated one (the best at this recall or beyond), so that the area under a line is the AP.
    """
    figure = new_figure(9.5, 5.6)
    axes = figure.add_subplot(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.set_title(f"{evaluation.model}, {evaluation.pictures} pictures")
    rows = sorted((row for row in evaluation.rows if row.name in evaluation.curves), key=lambda row: -(row.ap50 or 0))
    named = sorted(rows, key=lambda row: -row.boxes)[:MOST_CURVES]
    recalls = np.linspace(0, 1, 501)
    curves = {row.name: _interpolated(*evaluation.curves[row.name], recalls) for row in rows}
    if curves:
        mean = np.mean(list(curves.values()), axis=0)
        label = f"{evaluation.map50:.3f}  mean of {len(rows)} classes"
        axes.plot(recalls, mean, color="black", linewidth=2.5, zorder=5, label=label)
    for i, row in enumerate(row for row in rows if row in named):
        label = f"{row.ap50:.3f}  {row.name} ({row.boxes})"
        axes.plot(recalls, curves[row.name], ("-", "--")[i // 10 % 2], color=f"C{i % 10}", linewidth=1.3, label=label)
    others = [row for row in rows if row not in named]
    for row in others:
        axes.plot(recalls, curves[row.name], color="0.85", linewidth=0.7, zorder=1)
    if others:
        axes.plot([], [], color="0.85", label=f"{len(others)} classes with fewer boxes")
    if rows:
        title = "AP@.5  class (boxes)"
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), title=title, frameon=False)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def _interpolated(recall: np.ndarray, precision: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """The best precision at each of *recalls* or beyond."""
    best = np.concatenate([np.maximum.accumulate(precision[::-1])[::-1], [0.0]])
    return np.asarray(best[np.searchsorted(recall, recalls)])


def plot_confusion(result: ClassificationResult, path: str | os.PathLike[str]) -> None:
    """Writes the confusion matrix of the classes that occur, each row as parts of its class."""
    shown = result.shown
    counts = result.confusion[np.ix_(shown, shown)]
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(16.0, max(5.0, 0.5 * len(shown) + 2))
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot(xlabel="taken for", ylabel="is")
    image = axes.imshow(parts**0.5, cmap="Blues", vmin=0, vmax=1)  # the root, so that few mistakes are seen too
    axes.set_title(
        f"{result.model}: top-1 {result.top1:.4f}, top-5 {result.top5:.4f} of {result.pictures} pictures", fontsize=10
    )
    places, names = range(len(shown)), [result.names[i] for i in shown]
    size = min(9.0, 60 * side / len(shown))
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    if len(shown) <= MOST_NUMBERS:
        for i, j in zip(*np.nonzero(counts)):
            ink = "white" if parts[i, j] > 0.3 else "black"
            axes.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, color=ink)
    ticks = np.array([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar = figure.colorbar(image, ax=axes, shrink=0.7, label="part of the class")
    bar.set_ticks(ticks**0.5, labels=[f"{tick:g}" for tick in ticks])
    save_figure(figure, path)
