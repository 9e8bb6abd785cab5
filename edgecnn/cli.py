"""The command ``edgecnn``: detect, classify, eval, inspect, convert, tune, models, cache, doctor.

Exit status: 0 on success, 2 for wrong usage, 1 with one clear line on standard error otherwise. With ``--json -`` only
JSON is written to standard output. Progress is shown on a terminal and nowhere else.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgecnn import __version__
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.files import write_whole
from edgecnn.graph.metadata import COLORS, RESIZES
from edgecnn.predictor import BACKENDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""

    def run() -> int:
        options = build_parser().parse_args(arguments)
        return int(options.run(options))

    return guarded("edgecnn", run)


def guarded(program: str, run: Callable[[], int]) -> int:
    """Runs a command; warnings become one line on standard error, errors that and exit status 1."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"{program}: {' '.join(str(message).split())}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            status = run()
        sys.stdout.flush()
        return status
    except (
        BrokenPipeError
    ):  # the reader has gone, as `head` does: no complaint, also not when Python flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (EdgeCNNError, ImportError) as error:  # MissingDependency is both
        if _interrupted(error):
            return 130
        if not isinstance(error, EdgeCNNError):
            raise
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        print(f"{program}: {error.filename or 'error'}: {error.strerror or error}", file=sys.stderr)
    return 1


def _interrupted(error: BaseException | None) -> bool:
    """Whether it came of Ctrl-C: the start of an extension module makes an ImportError of that."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


# Types of arguments: argparse turns their errors into exit status 2.


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
    return value


def count(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """NAME=1,3,320,320."""
    name, equals, sizes = text.rpartition("=")
    try:
        shape = tuple(count(d) for d in sizes.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SIZE,SIZE,...")
    return name, shape


def per_channel(text: str) -> tuple[float, ...]:
    """One number, or three separated by commas; a fraction such as 1/255 is a number."""
    numbers = [part.partition("/") for part in text.split(",")]
    try:
        values = tuple(float(above) / float(below or 1) for above, _, below in numbers)
    except (ValueError, ZeroDivisionError):
        values = ()
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, nor three separated by commas")
    return values


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="edgecnn", description="CNNs on ARM boards: from a picture to boxes.")
    parser.add_argument("--version", action="version", version=f"edgecnn {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    detect = _picture_command(commands, "detect", "find objects in pictures, videos and cameras", "digits")
    detect.add_argument("source", nargs="+", help="picture, folder, glob pattern, video, camera index or stream URL")
    detect.add_argument(
        "--conf", type=fraction, default=0.25, help="report boxes that score more than this (%(default)s)"
    )
    detect.add_argument("--iou", type=fraction, default=0.45, help="overlap from which a box yields (%(default)s)")
    detect.add_argument("--classes", help="report these only: names or numbers, separated by commas")
    detect.add_argument("--max-det", type=count, default=300, help="boxes per picture at most (%(default)s)")
    detect.add_argument("--agnostic", action="store_true", help="boxes of different classes suppress each other too")
    detect.add_argument("--boxes", action="store_true", help="list the boxes: class, score, x1 y1 x2 y2 in pixels")
    detect.add_argument("--save", metavar="DIR", help="write the pictures with their boxes into this folder")
    detect.set_defaults(run=_detect)

    classify = _picture_command(commands, "classify", "say what pictures show", "lenet-digits")
    classify.add_argument("source", nargs="+", help="picture, folder or glob pattern")
    classify.add_argument("--top", type=count, default=5, help="classes to report per picture (%(default)s)")
    classify.set_defaults(run=_classify)

    evaluate = commands.add_parser("eval", help="accuracy of a model on annotated pictures")
    _model_arguments(evaluate, positional=True, shapes=False)
    evaluate.add_argument(
        "dataset",
        help="folder with VOC XML or YOLO txt annotations, COCO .json; for classifiers a folder with a folder of "
        "pictures for each class, a .csv or .txt list of files and labels, MNIST's idx files or CIFAR's .bin",
    )
    evaluate.add_argument("--images", metavar="DIR", help="where the pictures are (default: beside the annotations)")
    evaluate.add_argument("--backend", type=backends, default="auto", metavar="A,B", help="one, or several to compare")
    evaluate.add_argument("--threads", type=count, help="threads (default: the backend's choice)")
    evaluate.add_argument("--labels", metavar="FILE", help="names of the classes, one per line, or voc or coco")
    _preprocess_arguments(evaluate)
    evaluate.add_argument("--conf", type=fraction, default=0.005, help="count boxes that score more (%(default)s)")
    evaluate.add_argument("--iou", type=fraction, default=0.45, help="overlap from which a box yields (%(default)s)")
    evaluate.add_argument("--first", type=count, metavar="N", help="only the first N pictures")
    evaluate.add_argument(
        "--pillow",
        action="store_true",
        help="resize as Pillow does and cut boxes before NMS, to reproduce figures that scripts measured",
    )
    evaluate.add_argument("--strict", action="store_true", help="refuse annotations with problems, else skipped")
    evaluate.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    evaluate.add_argument(
        "--plot", metavar="FILE", help="write precision-recall curves or confusion matrix (.png, .svg, .pdf)"
    )
    evaluate.add_argument(
        "--worst", metavar="DIR", help="write the ten pictures with most missed boxes, or worst answers"
    )
    evaluate.set_defaults(run=_eval)

    inspect = commands.add_parser("inspect", help="print layers, shapes, parameters, MFLOP and bytes of a model")
    _model_arguments(inspect, positional=True)
    inspect.add_argument(
        "--explain", action="store_true", help="print also how the native backend would run each layer"
    )
    inspect.add_argument("--json", metavar="FILE", help="write the table as JSON; - is standard output")
    inspect.set_defaults(run=_inspect)

    convert = commands.add_parser("convert", help="write a model as .ecnn, .onnx or .tflite")
    _model_arguments(convert, positional=True)
    convert.add_argument("-o", "--output", required=True, metavar="FILE", help="the suffix chooses the format")
    convert.add_argument("--labels", metavar="FILE", help="put names of the classes into it, one per line")
    _preprocess_arguments(convert)
    convert.add_argument("--target", help="instruction set of an .ecnn: armv8, x86-avx2, ... (default: native)")
    convert.set_defaults(run=_convert)

    tune = commands.add_parser("tune", help="measure a model's kernels and threads here, for later loads")
    _model_arguments(tune, positional=True)
    tune.add_argument("--threads", type=count, help="threads to try at most (default: the physical cores)")
    tune.set_defaults(run=_tune)

    models = commands.add_parser("models", help="the zoo: models by name")
    actions = models.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all models, which are on this machine, and networks without weights")
    listing.add_argument("--json", metavar="FILE", help="write the list as JSON; - is standard output")
    listing.set_defaults(run=_models_list)
    pull = actions.add_parser("pull", help="fetch models; an interrupted download goes on where it stopped")
    pull.add_argument("name", nargs="+")
    pull.set_defaults(run=_models_pull)
    path = actions.add_parser("path", help="print where a model's files are")
    path.add_argument("name")
    path.set_defaults(run=_models_path)

    cache = commands.add_parser("cache", help="compiled models and verdicts of tune, kept from load to load")
    cache.add_argument("action", choices=("list", "clear"))
    cache.set_defaults(run=_cache)

    doctor = commands.add_parser("doctor", help="what edgecnn finds on this machine")
    doctor.add_argument("--json", metavar="FILE", help="write the findings as JSON; - is standard output")
    doctor.set_defaults(run=_doctor)
    return parser


def backends(text: str) -> str:
    """Backends separated by commas."""
    for name in text.split(","):
        if name not in BACKENDS:
            raise argparse.ArgumentTypeError(f"unknown backend {name!r}: choose of {', '.join(BACKENDS)}")
    return text


def _model_arguments(parser: argparse.ArgumentParser, positional: bool, default: str = "", shapes: bool = True) -> None:
    if positional:
        parser.add_argument("model", help="a name of 'edgecnn models list', or a .cfg, .onnx, .tflite or .ecnn file")
    if positional and shapes:
        parser.add_argument(
            "--input-shape",
            type=named_shape,
            action="append",
            default=[],
            metavar="NAME=N,C,H,W",
            help="change or fix the shape of an input",
        )
    if not positional:
        parser.add_argument("--model", default=default, help="a zoo name or a model file (%(default)s)")
    parser.add_argument("--weights", help="weights of a .cfg (default: the file of the same name beside it)")


def _picture_command(commands: Any, name: str, help_text: str, default_model: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text)
    _model_arguments(parser, positional=False, default=default_model)
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what runs the network (%(default)s)")
    parser.add_argument("--threads", type=count, help="threads (default: the backend's choice)")
    _preprocess_arguments(parser)
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one per line")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON; - is standard output")
    return parser


def _preprocess_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how a picture becomes the input", "Default: what the model knows.")
    group.add_argument("--mean", type=per_channel, metavar="M", help="subtract this from pixels of 0..255: M or R,G,B")
    group.add_argument("--scale", type=per_channel, metavar="S", help="then multiply by this, 1/255 say: S or R,G,B")
    group.add_argument("--color", choices=COLORS, help="order of the channels")
    group.add_argument("--resize", choices=RESIZES, help="stretch to the size of the input, or keep proportions")


def preprocess_of(options: argparse.Namespace) -> dict[str, Any] | None:
    """What the options change of how a picture becomes the input; None for nothing."""
    given = {name: getattr(options, name) for name in ("mean", "scale", "color", "resize")}
    return {name: value for name, value in given.items() if value is not None} or None


def write_json(target: str, value: object) -> None:
    """Writes *value* to a file, or to standard output where *target* is "-"."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        write_whole(target, text.encode())


# The commands. Each imports what it needs, so that `edgecnn --help` is quick.


def _detect(options: argparse.Namespace) -> int:
    from edgecnn.cli_pictures import detect

    return detect(options)


def _classify(options: argparse.Namespace) -> int:
    from edgecnn.cli_pictures import classify

    return classify(options)


def _eval(options: argparse.Namespace) -> int:
    from edgecnn.cli_eval import evaluate

    return evaluate(options)


def _inspect(options: argparse.Namespace) -> int:
    from edgecnn.cli_models import inspect

    return inspect(options)


def _convert(options: argparse.Namespace) -> int:
    from edgecnn.cli_models import convert

    return convert(options)


def _tune(options: argparse.Namespace) -> int:
    from edgecnn.cli_models import tune

    return tune(options)


def _models_list(options: argparse.Namespace) -> int:
    from edgecnn import zoo
    from edgecnn.classical import CLASSICAL
    from edgecnn.errors import DownloadError
    from edgecnn.networks import NETWORKS

    rows: list[dict[str, Any]] = []
    for entry in zoo.list_models():
        try:
            state = "shipped" if entry.shipped else "here" if zoo.is_available(entry.name) else "to pull"
        except DownloadError:
            state = "damaged"
        rows.append(
            {
                "name": entry.name,
                "task": entry.task,
                "state": state,
                "bytes": entry.size,
                "input": list(entry.input),
                "classes": len(entry.labels),
                "licence": entry.licence,
                "description": entry.description,
            }
        )
    for network in NETWORKS.values():
        rows.append(
            {
                "name": network.name,
                "task": "detect" if network.has_head else "classify",
                "state": "network",
                "bytes": 0,
                "input": [network.input[2], network.input[1]],
                "description": network.description,
            }
        )
    if options.json:
        write_json(options.json, rows)
    if options.json != "-":
        for row in rows:
            size = f"{row['bytes'] / 1e6:.1f} MB" if row["bytes"] else ""
            print(f"{row['name']:<27}{row['state']:<9}{size:>7}  {row['description']}")
            if "licence" in row:
                print(f"{'':<45}licence: {row['licence']}")
        print(f"Detectors without a network, to compare with: {', '.join(CLASSICAL)} (need OpenCV).")
        print("A network has no trained weights: edgecnn-bench and inspect give it random ones.")
    return 0


def _models_pull(options: argparse.Namespace) -> int:
    from edgecnn import zoo

    on_terminal = sys.stderr.isatty()
    for name in options.name:
        try:
            files = zoo.pull(name, _show_download if on_terminal else None)
        finally:
            if on_terminal:
                sys.stderr.write("\r\x1b[K")
        print(f"{name}: {files.model}")
    return 0


def _show_download(file: str, have: int, total: int) -> None:
    sys.stderr.write(f"\r\x1b[K{file}  {have / 1e6:.1f} of {total / 1e6:.1f} MB  {100 * have // max(total, 1)} %")
    sys.stderr.flush()


def _models_path(options: argparse.Namespace) -> int:
    from edgecnn import zoo

    files = zoo.resolve(options.name)
    print(files.model)
    if files.weights is not None:
        print(files.weights)
    return 0


def _cache(options: argparse.Namespace) -> int:
    from edgecnn import plan_cache, verdicts

    kept = plan_cache.entries()
    if options.action == "clear":
        for path, _, _ in kept:
            plan_cache.remove(Path(path).stem)
        verdicts.forget(plan_cache.folder())
        print(f"{len(kept)} plans removed")
        return 0
    for path, size, _ in kept:
        print(f"{size / 1e6:>8.2f} MB  {path}")
    print(
        f"{len(kept)} plans, {sum(size for _, size, _ in kept) / 1e6:.2f} MB, in {plan_cache.folder() or 'no folder'}"
    )
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from edgecnn import doctor

    findings = doctor.examine()
    if options.json:
        write_json(options.json, findings)
    if options.json != "-":
        print(doctor.as_text(findings))
    return 0


def shapes_of(options: argparse.Namespace) -> dict[str, tuple[int, ...]] | None:
    """The ``--input-shape`` arguments as a mapping."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in options.input_shape:
        if name in shapes:
            raise InputError(f"--input-shape names {name!r} twice")
        shapes[name] = shape
    return shapes or None


if __name__ == "__main__":
    sys.exit(main())
