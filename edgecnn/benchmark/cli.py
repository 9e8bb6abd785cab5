"""The command ``edgecnn-bench``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn import __version__
from edgecnn.benchmark import machine, report
from edgecnn.benchmark.measure import Result, Run, measure
from edgecnn.benchmark.peers import PEERS
from edgecnn.benchmark.profile import profile, profile_table
from edgecnn.benchmark.runner import MADE_UP_SIZE, Job
from edgecnn.benchmark.versions import commit, versions
from edgecnn.classical import CLASSICAL, windows
from edgecnn.cli import count, guarded, write_json
from edgecnn.cli_models import find_model
from edgecnn.errors import InputError, MissingDependency, UnsupportedOperator
from edgecnn.files import check_writable, write_whole
from edgecnn.graph.dump import summary
from edgecnn.graph.ir import Graph
from edgecnn.images import open_picture
from edgecnn.importers import import_model
from edgecnn.predictor import BACKENDS
from edgecnn.video import is_video

SECONDS = 3.0  # for each combination
SLOWED_PERCENT = 10  # as many frames a second less at the end of long work are worth a warning


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status, 1 also where backends' outputs differ."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments[:1]) == ["compare"]:
        from edgecnn.benchmark import compare

        return compare.main(arguments[1:])
    return guarded("edgecnn-bench", lambda: run(build_parser().parse_args(arguments)))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="edgecnn-bench",
        description="Times models on several backends side by side. min to fps are of the inference alone, in ms.",
        epilog="'edgecnn-bench compare A.json B.json' tells what became faster or slower from one run to another.",
    )
    parser.add_argument(
        "model", nargs="+", help="a name of 'edgecnn models list', or a .cfg, .onnx, .tflite or .ecnn file"
    )
    parser.add_argument("--weights", help="weights of a .cfg; 'random' times a network without them")
    parser.add_argument("--backend", type=_backends, default="native,onnxruntime,tflite", help="default: %(default)s")
    parser.add_argument("--peers", action="store_true", help="also ncnn and OpenCV's dnn module, where installed")
    parser.add_argument("--threads", type=_counts, default="1", metavar="N,N", help="default: %(default)s")
    parser.add_argument("--size", type=count, metavar="N", help="input of N x N instead of the model's own")
    parser.add_argument(
        "--seconds", type=_seconds, help="least time for each combination (3; where --frames is given, none)"
    )
    parser.add_argument("--frames", type=count, help="least number of frames for each combination")
    parser.add_argument(
        "--sustained", type=_seconds, metavar="SECONDS", help="then run each so long without a pause: heat, throttling"
    )
    parser.add_argument(
        "--image", help="picture, video or camera (0) for detectors (default: a made-up picture of 640x480)"
    )
    parser.add_argument(
        "--board",
        metavar="NAME,NAME",
        help="forecast for these boards instead of measuring here (docs/forecast.md)",
    )
    parser.add_argument("--profile", action="store_true", help="print also what each layer takes on the native backend")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON; - is standard output")
    parser.add_argument("--csv", metavar="FILE", help="write a row for each combination")
    parser.add_argument("--markdown", metavar="FILE", help="write a table for a text or an issue")
    parser.add_argument("--html", metavar="FILE", help="write one self-contained page with plots")
    return parser


def _backends(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in BACKENDS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(BACKENDS)}")
    return list(dict.fromkeys(names))


def _counts(text: str) -> list[int]:
    return list(dict.fromkeys(count(part) for part in text.split(",")))


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 86400")
    return value


def run(options: argparse.Namespace) -> int:
    """Measures every model and reports."""
    if options.board:
        from edgecnn.forecast.forecast import command

        files = [_files(model, options.weights, options.image)[:2] for model in options.model]
        return command(files, options.board.split(","), options.threads, options.json or "")
    check_writable(options.json, options.csv, options.markdown, options.html)
    before, events = machine.describe(), machine.throttle_events()
    say = _silent if options.json == "-" else print
    say(report.machine_line(before))
    facts, jobs = [], []
    for model in options.model:
        path, weights, note = _files(model, options.weights, options.image)
        graph = _graph(path, weights)
        shapes = _resized(graph, options.size) if options.size else None
        if shapes:
            graph = _graph(path, weights, shapes)
        facts.append(_facts(model, graph, note))
        backends = ["opencv"] if model in CLASSICAL else [*options.backend, *(PEERS if options.peers else ())]
        jobs.append([Job(str(path), weights, b, n, shapes, options.image) for n in options.threads for b in backends])
    seconds = options.seconds or (0.0 if options.frames else SECONDS)
    show = _on_terminal if sys.stderr.isatty() else _silent
    found = measure([job for of in jobs for job in of], seconds, options.frames or 1, options.sustained or 0.0, show)
    show("")
    results = iter(found.results)
    models, status = [], 0
    for fact, of in zip(facts, jobs):
        rows = [next(results) for _ in of]
        ran = [result for result in rows if not result.error]
        if not ran or any(not result.agrees for result in ran):
            status = 1
        models.append({**fact, "results": [report.row(result) for result in rows]})
        say(f"\n{report.table(_title(fact), rows)}")
        for result in ran:
            if result.sustained:
                say(report.sustained_text(result))
        _warn(ran)
        if options.profile and fact["model"] not in CLASSICAL:
            job = of[0]
            models[-1]["profile"] = profile(Path(job.model), job.weights, job.threads, job.input_shapes)
            say(f"\n{profile_table(models[-1]['profile'])}")
    if any(not result.error for result in found.results):
        say(f"\n{report.LEGEND}")
    after = machine.describe()
    throttled = _throttled(found, events)
    if throttled:
        print(f"edgecnn-bench: THROTTLED ({', '.join(throttled)}): not the times of a cool machine", file=sys.stderr)
    if options.json or options.csv or options.markdown or options.html:
        settings = {"seconds": seconds, "frames": options.frames, "sustained": options.sustained}
        settings.update(image=options.image, size=options.size)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        head = {"kind": "measurement", "schema": report.SCHEMA, "edgecnn": __version__, "commit": commit()}
        head.update(versions=versions(), date=when, machine=before, machine_after=after, throttled=throttled)
        _write(options, {**head, "settings": settings, "models": models, "samples": found.samples})
    return status


def _throttled(found: Run, events: dict[str, int]) -> list[str]:
    """What held the processor back while it ran."""
    looks = [*found.samples, *(row for result in found.results for row in result.sustained)]
    slowed = {text for look in looks for text in look["slowed"]}
    grown = {event for event, n in machine.throttle_events().items() if n > events.get(event, 0)}
    return sorted(slowed | grown)


def _write(options: argparse.Namespace, results: dict[str, Any]) -> None:
    if options.json:
        write_json(options.json, results)
    texts = {
        options.csv: lambda: report.to_csv(results["models"]),
        options.markdown: lambda: report.to_markdown(results),
    }
    if options.html:
        from edgecnn.benchmark.page import to_html

        texts[options.html] = lambda: to_html(results)
    for path, text in texts.items():
        if path:
            write_whole(path, text().encode())


def _files(model: str, weights: str | None, image: str | None) -> tuple[Path, str | None, str]:
    """Path, weights, and a remark for the title."""
    if model in CLASSICAL:
        return Path(model), None, _looks(model, image)
    path, weights = find_model(model, weights)
    if path.suffix == ".cfg" and path.exists() and weights is None and not path.with_suffix(".weights").exists():
        weights = "random"
    return path, weights, "random weights" if weights and weights.startswith("random") else ""


def _looks(model: str, image: str | None) -> str:
    """What a detector without a network does with the picture."""
    text = "no network; reads the picture in its own size"
    if image is None:
        width, height = MADE_UP_SIZE
    elif is_video(image):
        return text
    else:
        picture = open_picture(image)
        width, height = picture.width, picture.height
    places, sizes = windows(model, width, height)
    return f"{text}, {width}x{height}: {places:,} windows in {sizes} sizes, and of each asks: {CLASSICAL[model][0]}?"


def _graph(path: Path, weights: str | None, shapes: dict[str, tuple[int, ...]] | None = None) -> Graph | None:
    """The graph, for the facts about it. A compiled model has none; what cannot be imported may run elsewhere."""
    if path.suffix == ".ecnn" or str(path) in CLASSICAL:
        return None
    try:
        return import_model(path, weights, shapes)
    except (UnsupportedOperator, MissingDependency):
        return None


def _resized(graph: Graph | None, size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of all picture inputs with height and width *size*."""
    if graph is None:
        raise InputError(
            "--size: a compiled .ecnn, what edgecnn cannot import, and what is no network has its own size"
        )
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in graph.input_specs:
        if len(spec.shape) == 4 and spec.shape[1] in (1, 3, 4):
            shapes[spec.name] = (*spec.shape[:2], size, size)
        elif len(spec.shape) == 4:
            shapes[spec.name] = (spec.shape[0], size, size, spec.shape[3])
    if not shapes:
        raise InputError(f"--size: {graph.name} has no picture as input")
    return shapes


def _facts(model: str, graph: Graph | None, note: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"model": model, "note": note}
    if graph is not None:
        facts["inputs"] = {spec.name: list(spec.shape) for spec in graph.input_specs}
        totals = summary(graph)["totals"]
        facts["mflop"] = round(totals["flops"] / 1e6, 1)
        facts["parameters"] = totals["params"]
    return facts


def _title(facts: dict[str, Any]) -> str:
    parts = [Path(facts["model"]).name]
    for shape in facts.get("inputs", {}).values():
        parts.append("x".join(map(str, shape)))
    if "mflop" in facts:
        parts.append(f"{facts['mflop']} MFLOP, {facts['parameters']} parameters")
    return ", ".join(parts + ([facts["note"]] if facts["note"] else []))


def _warn(results: list[Result]) -> None:
    for result in results:
        who = f"{result.backend} with {result.job.threads} threads"
        if not result.agrees:
            print(f"edgecnn-bench: {who}: the outputs differ from the first row's", file=sys.stderr)
        slowed = sorted({text for row in result.sustained for text in row["slowed"]})
        change = report.endurance(result.sustained)["change"] if result.sustained else 0.0
        if slowed or change < -SLOWED_PERCENT:
            why = f": {', '.join(slowed)}" if slowed else ""
            print(f"edgecnn-bench: {who}: {change:+.0f} % FRAMES A SECOND AT THE END{why}", file=sys.stderr)


def _silent(text: str) -> None:
    pass


def _on_terminal(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
