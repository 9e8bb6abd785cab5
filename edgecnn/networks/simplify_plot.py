"""The picture of the simplification study: speeds with their figures, speed against work, accuracy against speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgecnn.networks.simplify import Row

COLORS = ("#1d6fa5", "#f2a541", "#6a9f58", "#b0568a")
COLUMNS = ("input", "MFLOP", "params", "memory", "mAP@.5")
NEAR = 0.06  # points nearer than this, as part of an axis, share a label


def draw(figure: Any, rows: Sequence[Row], backends: Sequence[str]) -> None:
    """Draws the study into an empty figure of matplotlib."""
    nets = [row for row in rows if row.size]
    upper, lower = figure.subfigures(2, 1, height_ratios=(3, 2))
    bars, cells = upper.subplots(1, 2, width_ratios=(2, 1), sharey=True)
    _bars(bars, nets, backends)
    _table(cells, nets)
    judged = [row for row in rows if row.mean_ap is not None or row.person is not None]
    if judged:
        left, right = lower.subplots(1, 2)
        _accuracy(right, rows, nets, backends[0])
    else:
        left = lower.subplots()
    _work(left, nets, backends[0])


def _bars(axes: Any, nets: Sequence[Row], backends: Sequence[str]) -> None:
    height = 0.8 / len(backends)
    for i, backend in enumerate(backends):
        places = np.arange(len(nets)) + (i - (len(backends) - 1) / 2) * height
        speeds = [row.fps[backend] for row in nets]
        axes.barh(places, speeds, height * 0.92, label=backend, color=COLORS[i % len(COLORS)])
        for place, speed in zip(places, speeds):
            axes.text(speed, place, f" {speed:.0f}", va="center", fontsize=7 if len(backends) > 1 else 9)
    axes.set_yticks(np.arange(len(nets)), [f"{i}  {row.name}" for i, row in enumerate(nets, 1)])
    axes.tick_params("y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    axes.set_xlabel("frames per second, inference alone")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _table(axes: Any, nets: Sequence[Row]) -> None:
    """The figures of each network, beside its bars."""
    axes.set_axis_off()
    axes.set_xlim(0, len(COLUMNS))
    for column, head in enumerate(COLUMNS):
        axes.text(column + 0.9, -0.75, head, color="0.4", ha="right", va="center", fontsize=9)
        for i, row in enumerate(nets):
            axes.text(column + 0.9, i, _cells(row)[column], ha="right", va="center", fontsize=9)


def _cells(row: Row) -> tuple[str, ...]:
    accuracy = "" if row.mean_ap is None else f"{row.mean_ap:.3f}"
    return (f"{row.size}", f"{row.mflop:,.0f}", f"{row.params / 1e6:.2f} M", f"{row.memory:.0f} MiB", accuracy)


def _work(axes: Any, nets: Sequence[Row], backend: str) -> None:
    """Speed against work; on a slanted line all networks use the machine equally well."""
    x, y = np.array([row.mflop for row in nets]), np.array([row.fps[backend] for row in nets])
    axes.set(xscale="log", yscale="log", xlabel="MFLOP a frame", ylabel=f"frames per second on {backend}")
    axes.set_xlim(x.min() / 1.5, x.max() * 1.5)
    axes.set_ylim(y.min() / 1.5, y.max() * 1.8)
    rates = x * y / 1e3
    for rate in 2.0 ** np.arange(np.floor(np.log2(rates.min())), np.ceil(np.log2(rates.max())) + 1):
        line = np.array(axes.get_xlim())
        axes.plot(line, rate * 1e3 / line, color="0.85", linewidth=0.8, zorder=0)
        at = max(line[0], rate * 1e3 / axes.get_ylim()[1]) * 1.06
        axes.text(
            at,
            rate * 1e3 / at,
            f"{rate:.0f} GFLOP/s",
            fontsize=7,
            color="0.5",
            rotation=np.degrees(np.arctan2(-rate * 1e3 / at, at)),
            rotation_mode="anchor",
            transform_rotates_text=True,
            va="top",
            clip_on=True,
        )
    axes.scatter(x, y, color=COLORS[0], zorder=3)
    _label(axes, x, y, [str(i) for i in range(1, len(nets) + 1)])
    _plain_ticks(axes.xaxis, (100, 200, 500, 1000, 2000, 5000, 10000))
    _plain_ticks(axes.yaxis, (2, 5, 10, 20, 50, 100, 200, 500, 1000))


def _accuracy(axes: Any, rows: Sequence[Row], nets: Sequence[Row], backend: str) -> None:
    for field, label, marker, face in (
        ("mean_ap", "mAP, all classes", "o", COLORS[0]),
        ("person", "AP, persons", "s", "none"),
    ):
        found = [row for row in rows if getattr(row, field) is not None]
        x = np.array([row.fps.get(backend) or next(iter(row.fps.values())) for row in found])
        y = np.array([getattr(row, field) for row in found])
        if not found:
            continue
        axes.scatter(x, y, marker=marker, facecolors=face, edgecolors=COLORS[0], label=label, zorder=3)
        _label(axes, x, y, [str(nets.index(row) + 1) if row in nets else row.name for row in found], ylim=(0, 1))
    axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel=f"frames per second on {backend}", ylabel="AP at IoU .5")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.3, high * 1.6)
    _plain_ticks(axes.xaxis, (2, 5, 10, 20, 50, 100, 200, 500, 1000))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", frameon=False)


def _label(
    axes: Any, x: np.ndarray, y: np.ndarray, names: Sequence[str], ylim: tuple[float, float] | None = None
) -> None:
    """Names beside points; those of points that lie together in one label."""
    across = np.log(x) / max(float(np.ptp(np.log(x))), 1e-9)
    up = (y - ylim[0]) / (ylim[1] - ylim[0]) if ylim else np.log(y) / max(float(np.ptp(np.log(y))), 1e-9)
    done: set[int] = set()
    for i in range(len(x)):
        if i not in done:
            group = [j for j in range(i, len(x)) if abs(across[i] - across[j]) < NEAR and abs(up[i] - up[j]) < NEAR]
            done.update(group)
            text = ", ".join(names[j] for j in group)
            axes.annotate(text, (x[i], y[i]), (5, 4), textcoords="offset points", fontsize=8)


def _plain_ticks(axis: Any, ticks: Sequence[float]) -> None:
    low, high = axis.get_view_interval()
    shown = [tick for tick in ticks if low <= tick <= high]
    axis.set_ticks(shown, [f"{tick:,}" for tick in shown])
    axis.set_ticks([], minor=True)
