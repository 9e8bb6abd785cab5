"""The results of a benchmark as one HTML page that needs nothing else: plots are inline SVG, light or dark as the
reader's system is, and wide tables scroll by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from edgecnn.benchmark.report import endurance, flat_rows, machine_line

STYLE = """
:root{color-scheme:light dark;--text:#1b1f24;--dim:#5d6670;--line:#d5dae0;--back:#fff;
--bar:#9db7d5;--best:#2f6fb5;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--text:#e6e9ec;--dim:#9aa4ae;--line:#3a4149;--back:#14171a;
--bar:#3d5a7a;--best:#6aa9ee;--bad:#f2948c}}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:56rem;padding:1rem;
color:var(--text);background:var(--back)}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2rem 0 .3rem}p{margin:.3rem 0;color:var(--dim)}
.bad{color:var(--bad);font-weight:600}
.wide{overflow-x:auto;background:linear-gradient(to right,var(--back) 40%,transparent),
linear-gradient(to left,var(--back) 40%,transparent) 100% 0,linear-gradient(to right,var(--line),transparent),
linear-gradient(to left,var(--line),transparent) 100% 0;background-size:40px 100%,40px 100%,16px 100%,16px 100%;
background-attachment:local,local,scroll,scroll;background-repeat:no-repeat}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
svg{width:100%;max-width:40rem;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--text)}svg .dim{fill:var(--dim)}
"""
COLUMNS = {
    "backend": "backend", "threads": "threads", "min_ms": "min", "median_ms": "median", "p95_ms": "p95",
    "max_ms": "max", "spread_percent": "spread %", "fps": "fps", "capture_ms": "capture", "preprocess_ms": "pre",
    "postprocess_ms": "post", "load_ms": "load", "first_frame_ms": "first", "peak_rss_mib": "MiB",
}  # fmt: skip
ROW, BAR, WIDTH, VALUE = 42, 16, 400, 140


def to_html(run: Mapping[str, Any]) -> str:
    """The page for a run (what ``--json`` writes)."""
    parts = [
        f"<h1>edgecnn-bench</h1><p>{escape(machine_line(run['machine']))}</p>",
        f"<p>{escape(run['date'])}; milliseconds of the inference of one picture</p>",
    ]
    if run["throttled"]:
        why = escape(", ".join(run["throttled"]))
        parts.append(f'<p class="bad">Throttled ({why}): these are not the times of a cool machine.</p>')
    for model in run["models"]:
        rows = list(flat_rows([model]))
        parts.append(f"<h2>{escape(Path(model['model']).name)}</h2><p>{escape(_about(model))}</p>")
        parts.append(_bars([row for row in rows if row["median_ms"]]))
        parts.append(_table(rows))
        if "profile" in model:
            parts.append(_layers(model["profile"]))
        parts += [_sustained(result) for result in model["results"] if result.get("sustained")]
        for row in rows:
            if row["error"]:
                parts.append(f"<p>{_who(row)}: cannot run: {escape(row['error'])}</p>")
            elif not row["agrees"]:
                parts.append(f'<p class="bad">{_who(row)}: its outputs differ from the first row\'s.</p>')
    packages = ", ".join(f"{escape(name)} {escape(version)}" for name, version in run["versions"].items())
    commit, _, changes = (run["commit"] or "unknown").partition("+")
    commit = f"{commit[:12]} and {changes}" if changes else commit[:12]
    parts.append(f"<p>edgecnn {escape(run['edgecnn'])}, commit {escape(commit)}; {packages}</p>")
    title = ", ".join(Path(model["model"]).name for model in run["models"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} - edgecnn-bench</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _about(model: Mapping[str, Any]) -> str:
    shapes = ["x".join(map(str, shape)) for shape in model.get("inputs", {}).values()]
    facts = [f"{model['mflop']} MFLOP", f"{model['parameters']} parameters"] if "mflop" in model else []
    return ", ".join([*shapes, *facts, *([model["note"]] if model["note"] else [])])


def _who(row: Mapping[str, Any]) -> str:
    return f"{escape(row['backend'])}, {row['threads']} {'thread' if row['threads'] == 1 else 'threads'}"


def _bars(rows: Sequence[Mapping[str, Any]]) -> str:
    """A bar to the median, a line from the minimum to p95; the fastest stands out. A line that would make all bars
    short is cut at twice the longest bar."""
    if not rows:
        return ""
    most = min(max(row["p95_ms"] for row in rows), 2 * max(row["median_ms"] for row in rows))
    scale = (WIDTH - VALUE) / most
    best = min(row["median_ms"] for row in rows)
    marks = []
    for i, row in enumerate(rows):
        y = ROW * (i + 1) - BAR - 4
        middle = y + BAR / 2
        low, median, high = (scale * min(row[key], most) for key in ("min_ms", "median_ms", "p95_ms"))
        end = f"M{high:.1f} {middle - 4}v8" if row["p95_ms"] <= most else ""
        color = "--best" if row["median_ms"] == best else "--bar"
        marks.append(
            f'<text x="0" y="{y - 5}">{_who(row)}</text>'
            f'<rect x="0" y="{y}" width="{median:.1f}" height="{BAR}" fill="var({color})"/>'
            f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8{end}" '
            'stroke="currentColor" fill="none"/>'
            f'<text x="{high + 8:.1f}" y="{middle + 4}">{row["median_ms"]:.2f} ms'
            f'<tspan class="dim"> {row["fps"]:.1f} fps</tspan></text>'
        )
    height = ROW * len(rows)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="median times">{"".join(marks)}</svg>'
        "<p>Bar: median; line: minimum to 95th percentile.</p>"
    )


def _layers(profile: Mapping[str, Any]) -> str:
    """The layers that take time, each with a bar of its share."""
    widest = max((layer["percent"] for layer in profile["layers"]), default=0.0) or 1.0
    rows = []
    for layer in profile["layers"]:
        if layer["ms"] > 0:
            share = 100 * layer["percent"] / widest
            bar = f"background:linear-gradient(to right,var(--bar) {share:.0f}%,transparent {share:.0f}%)"
            numbers = "".join(f"<td>{layer[key]:.1f}</td>" for key in ("gflops", "percent_of_peak", "gbs"))
            rows.append(
                f'<tr><td>{escape(layer["name"])}</td><td style="{bar}">{layer["percent"]:.1f}</td>'
                f"<td>{layer['ms']:.3f}</td><td>{escape(layer['kernel'])}</td>{numbers}</tr>"
            )
    head = "".join(
        f"<th>{name}</th>" for name in ("layer", "% of time", "ms", "kernel", "GFLOP/s", "% of peak", "GB/s")
    )
    threads = profile["threads"]
    return (
        f"<p>Layers of native, {threads} {'thread' if threads == 1 else 'threads'}; this machine reaches "
        f"{profile['peak_gflops']:.1f} GFLOP/s in registers and streams {profile['bandwidth_gbs']:.1f} GB/s.</p>"
        f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
    )


def _sustained(result: Mapping[str, Any]) -> str:
    """Frames a second over time, and the temperature where it is known; red where something slowed the processor."""
    rows, found = result["sustained"], endurance(result["sustained"])
    parts = [
        f"<p>{_who(result)}, without a pause: {found['first_fps']:.1f} fps at first, {found['last_fps']:.1f} at the "
        f"end ({found['change']:+.0f} %)</p>",
        _line(rows, "fps", "fps", 0.0),
    ]
    warmest = [row["temperature_c"] for row in rows if row["temperature_c"] is not None]
    if warmest:
        parts.append(_line([row for row in rows if row["temperature_c"] is not None], "temperature_c", "\u00b0C", 20.0))
    slowed = sorted({text for row in rows for text in row["slowed"]})
    if slowed:
        parts.append(f'<p class="bad">Slowed down, where the plot is red: {escape(", ".join(slowed))}.</p>')
    return "".join(parts)


def _line(rows: Sequence[Mapping[str, Any]], key: str, unit: str, low: float) -> str:
    """A curve over the seconds, on an axis that begins at *low*."""
    left, right, top, height = 4.0, WIDTH - 84.0, 10.0, 80.0
    end = max(rows[-1]["at"], 1e-9)
    high = max(max(row[key] for row in rows), low + 1e-9)

    def x(at: float) -> float:
        return left + (right - left) * at / end

    def y(value: float) -> float:
        return top + height * (1 - (max(value, low) - low) / (high - low))

    bands = "".join(
        f'<rect x="{x(row["at"]):.1f}" y="{top}" width="{max(x(after["at"]) - x(row["at"]), 1):.1f}" height="{height}" '
        'fill="var(--bad)" opacity=".2"/>'
        for row, after in zip(rows, [*rows[1:], rows[-1]])
        if row["slowed"]
    )
    points = " ".join(f"{x(row['at']):.1f},{y(row[key]):.1f}" for row in rows)
    last = rows[-1][key]
    return (
        f'<svg viewBox="0 0 {WIDTH} {top + height + 22:.0f}" role="img" aria-label="{unit} over time">{bands}'
        f'<path d="M{left} {top + height}H{right}" stroke="var(--line)"/>'
        f'<polyline points="{points}" fill="none" stroke="var(--best)" stroke-width="2"/>'
        f'<text x="{right + 6}" y="{min(y(last) + 4, top + height):.1f}">{last:.1f} {unit}</text>'
        f'<text class="dim" x="{left}" y="{top + height + 16}">0 s</text>'
        f'<text class="dim" x="{right}" y="{top + height + 16}" text-anchor="end">{end:.0f} s</text></svg>'
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The columns that any row has something for."""
    ran = [row for row in rows if not row["error"]]
    columns = [key for key in COLUMNS if any(row[key] is not None for row in ran)]
    head = "".join(f"<th>{COLUMNS[key]}</th>" for key in columns)
    body = ["<tr>" + "".join(f"<td>{_cell(row[key])}</td>" for key in columns) + "</tr>" for row in ran]
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(body)}</table></div>'


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else escape(str(value))
