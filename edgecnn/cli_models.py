"""``edgecnn inspect``, ``edgecnn convert`` and ``edgecnn tune``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.cli import preprocess_of, shapes_of, write_json
from edgecnn.errors import InputError, UnsupportedOperator
from edgecnn.graph.ir import Graph, TensorSpec
from edgecnn.graph.metadata import Metadata, changed
from edgecnn.networks import is_network

FORMATS = (".ecnn", ".onnx", ".tflite")


def inspect(options: argparse.Namespace) -> int:
    """Prints the table of layers: as the file has them, simplified; of an .ecnn the compiled ones."""
    path, weights = find_model(options.model, options.weights)
    if path.suffix.lower() == ".ecnn":
        return _inspect_compiled(path, options)
    from edgecnn.backends.compiled import CompiledModel, compile_graph
    from edgecnn.backends.native import memory_text
    from edgecnn.graph.dump import inspect_text, summary
    from edgecnn.passes import PORTABLE, run_passes

    graph = run_passes(read_graph(options.model, weights, shapes_of(options)), PORTABLE)
    compiled: CompiledModel | UnsupportedOperator
    try:
        compiled = compile_graph(graph, str(path))
    except UnsupportedOperator as error:
        compiled = error
    if options.json:
        memory = {} if isinstance(compiled, UnsupportedOperator) else {"memory": compiled.memory(1)}
        write_json(options.json, {**summary(graph), **memory})
    if options.json != "-":
        print(inspect_text(graph))
        if isinstance(compiled, UnsupportedOperator):
            print(f"memory  not known: the native backend cannot run it: {compiled}")
            return 0
        print(f"memory  {memory_text(compiled.memory(1))} on the native backend with one thread")
        if options.explain:
            print(f"\n{compiled.info.explanation}")
    return 0


def _inspect_compiled(path: Path, options: argparse.Namespace) -> int:
    from edgecnn.backends.compiled import compile_file
    from edgecnn.backends.native import memory_text

    if options.input_shape:
        raise InputError(f"{path}: --input-shape needs the model that this .ecnn was made from")
    compiled = compile_file(path)
    info, memory, target = compiled.info, compiled.memory(1), compiled.program.target
    kernels = [" + ".join(kernel for kernel, owner, _ in info.steps if owner == i) for i in range(len(info.layers))]
    rows = [{**layer, "shape": list(layer["shape"]), "kernel": kernel} for layer, kernel in zip(info.layers, kernels)]
    facts = {"name": info.name, "source": str(path), "target": target, "memory": memory}
    if options.json:
        specs = {"inputs": _specs(info.inputs), "outputs": _specs(info.outputs)}
        write_json(options.json, {**facts, **specs, "layers": rows})
    if options.json != "-":
        print(f"{info.name}, compiled for {target}; memory {memory_text(memory)} with one thread")
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            shape = "x".join(map(str, row["shape"]))
            kernel = row["kernel"] or "(a view)"
            print(f"{row['name']:<{width}}  {row['op']:<13} {shape:<16} {row['flops'] / 1e6:>8.1f} MFLOP  {kernel}")
        print(_about(info.metadata()))
        if options.explain:
            print(f"\n{info.explanation}")
    return 0


def _specs(specs: Sequence[TensorSpec]) -> list[dict[str, object]]:
    return [{"name": spec.name, "shape": list(spec.shape), "dtype": str(spec.dtype)} for spec in specs]


def _about(metadata: Metadata) -> str:
    """What the model knows beside its layers."""
    lines = []
    if metadata.task:
        picture = f"picture as {metadata.preprocess.color}, resized by {metadata.preprocess.resize}"
        lines.append(f"task    {metadata.task}; {picture}")
    for head in metadata.heads:
        lines.append(f"head    {head.output}: {head.kind}, {head.classes} classes, {len(head.anchors)} anchors")
    if metadata.labels:
        shown = ", ".join(metadata.labels[:8]) + (", ..." if len(metadata.labels) > 8 else "")
        lines.append(f"labels  {len(metadata.labels)}: {shown}")
    return "\n".join(lines)


def convert(options: argparse.Namespace) -> int:
    """Writes a model in another format."""
    output = Path(options.output)
    suffix = output.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"-o {output}: unknown format {suffix!r}; choose one of {', '.join(FORMATS)}")
    if options.target and suffix != ".ecnn":
        raise InputError(f"--target goes with an .ecnn only; {suffix} files run on any machine")
    path, weights = find_model(options.model, options.weights)
    if path.suffix.lower() == ".ecnn":
        raise InputError(f"{path}: an .ecnn cannot be converted; give the model that it was made from")
    if output.exists() and output.samefile(path):
        raise InputError(f"-o {output}: this is the model itself")
    from edgecnn.passes import PORTABLE, run_passes

    graph = run_passes(_described(read_graph(options.model, weights, shapes_of(options)), options), PORTABLE)
    if suffix == ".ecnn":
        from edgecnn import plan_cache, verdicts
        from edgecnn.plan import build_plan, find_target

        target = find_target(options.target) if options.target else None
        build_plan(run_passes(graph), target, verdicts=verdicts.layers(plan_cache.folder())).save(output)
    elif suffix == ".onnx":
        from edgecnn.exporters.onnx import export_onnx

        export_onnx(graph, output)
    else:
        from edgecnn.exporters.tflite import export_tflite

        export_tflite(graph, output)
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
    return 0


def _described(graph: Graph, options: argparse.Namespace) -> Graph:
    """With the labels and the preprocessing that the options give."""
    from edgecnn.picture_model import read_labels

    known = graph.metadata
    labels = read_labels(options.labels) if options.labels else known.labels
    classes = {head.classes for head in known.heads} or {spec.shape[-1] for spec in graph.output_specs}
    if options.labels and classes != {len(labels)}:
        text = " or ".join(map(str, sorted(classes)))
        raise InputError(f"--labels {options.labels}: {len(labels)} names, but the model has {text} classes")
    return graph.with_metadata(labels=labels, preprocess=changed(known.preprocess, preprocess_of(options) or {}))


def tune(options: argparse.Namespace) -> int:
    """Measures a model on this machine and says what was found."""
    from edgecnn.tuning import tune as run

    path, weights = find_model(options.model, options.weights)
    on_terminal = sys.stderr.isatty()
    try:
        verdict = run(
            path,
            weights,
            input_shapes=shapes_of(options),
            max_threads=options.threads,
            progress=_show_progress if on_terminal else None,
        )
    finally:
        if on_terminal:
            sys.stderr.write("\r\x1b[K")
    print(verdict)
    print("kept for later loads" if verdict.kept else "not kept: the cache is off or cannot be written")
    return 0


def _show_progress(what: str, done: int, total: int) -> None:
    sys.stderr.write(f"\r\x1b[K{what}  {100 * done // max(total, 1)} %")
    sys.stderr.flush()


def find_model(model: str, weights: str | None) -> tuple[Path, str | None]:
    """Path and weights of a model file, or of a zoo model or network where *model* is a bare word and no file."""
    path = Path(model)
    if is_network(model):
        if weights is None:
            print(f"edgecnn: {model} has random weights: what it finds means nothing", file=sys.stderr)
        return path, weights or "random"
    if path.suffix.lower() in (".cfg", *FORMATS, ".weights") or path.exists() or path.name != model:
        return path, weights
    from edgecnn.zoo import resolve

    files = resolve(model)
    return files.model, weights or (str(files.weights) if files.weights else None)


def read_graph(model: str, weights: str | None, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Imports a model file or a zoo model; what the zoo knows of the latter goes into the metadata."""
    from edgecnn.importers import import_model

    path, weights = find_model(model, weights)
    graph = import_model(path, weights, shapes)
    if str(path) == model:
        return graph
    from edgecnn.zoo import resolve

    files = resolve(model)
    return graph.with_metadata(labels=files.labels, preprocess=files.preprocess)
