"""Compiled models: where they come from, and what predictors of one model share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union
from weakref import WeakValueDictionary

from edgecnn import plan_cache, verdicts
from edgecnn.backends.program_info import read_info
from edgecnn.errors import ModelError, ModelFormatError
from edgecnn.mapping import map_file

if TYPE_CHECKING:
    from edgecnn.graph.ir import Graph

Content = Union[bytes, memoryview]


class CompiledModel:
    """A checked program with its packed weights; any number of backends may run it at once.

    Parameters
    ----------
    content : bytes or memoryview
        An ``.ecnn`` file. A memoryview must begin at a multiple of 64 bytes, never change, and is not copied.
    source : str
        What to call the model in messages.
    check_weights : bool
        Whether to compare the checksum of the weights, which reads them all. Everything else is always checked.

    Raises
    ------
    ModelFormatError
        The content is no ``.ecnn`` file, is damaged, or made for another machine.
    """

    def __init__(self, content: Content, source: str, check_weights: bool = True) -> None:
        from edgecnn import _core

        self.source = source
        try:
            self.program: Any = _core.Program(content, isinstance(content, bytes), check_weights)
            self.info = read_info(self.program.metadata, source)
            if check_weights:  # nobody vouches for the file
                self.info.metadata()
        except ValueError as error:
            raise ModelFormatError(f"{source}: {error}") from error
        program, info = self.program, self.info
        for specs, sizes in ((info.inputs, program.input_bytes), (info.outputs, program.output_bytes)):
            if [spec.nbytes for spec in specs] != sizes:
                raise ModelFormatError(f"{source}: its metadata and its program disagree on inputs and outputs")
        if len(info.steps) != program.step_count:
            raise ModelFormatError(f"{source}: its metadata and its program disagree on the number of steps")

    def memory(self, threads: int) -> dict[str, int]:
        """Bytes that running it takes: "weights" (once, however many predictors), "activations" and "scratch"."""
        program = self.program
        return {
            "weights": program.constants_bytes,
            "activations": program.arena_bytes,
            "scratch": threads * program.scratch_bytes,
        }


# Alive as long as a predictor is: predictors of one model share its weights.
_loaded: WeakValueDictionary[str, CompiledModel] = WeakValueDictionary()


def compile_file(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    cache: bool = True,
) -> CompiledModel:
    """The compiled form of a model file: one that is loaded already, one from the cache, or a new one."""
    path = os.fspath(path)
    if path.lower().endswith(".ecnn"):
        try:
            with open(path, "rb") as file:
                return CompiledModel(map_file(file), path)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    name = plan_cache.name_of(path, weights, input_shapes)
    model = _loaded.get(name) if name else None
    if model is None and name and cache:
        model = _from_cache(name, path)
    if model is None:
        from edgecnn.importers import import_model

        graph = import_model(path, weights, input_shapes)
        if graph.files or name != plan_cache.name_of(path, weights, input_shapes):
            name = None
        model = compile_graph(graph, path, name if cache else None)
    if name:
        _loaded[name] = model
    return model


def compile_graph(graph: Graph, source: str, name: str | None = None) -> CompiledModel:
    """Plans a graph as an importer made it; the cache keeps it under *name*."""
    from edgecnn.passes import run_passes
    from edgecnn.plan import build_plan

    graph = run_passes(graph)
    measured = verdicts.layers(plan_cache.folder())
    draft = plan_cache.create() if name else None
    if draft is not None and name:
        try:
            content = build_plan(graph, file=draft.file, verdicts=measured).assemble(stamp=plan_cache.boot())
        except OSError:  # the disk is full
            draft.discard()
        except BaseException:
            draft.discard()
            raise
        else:
            draft.keep(name)
            return CompiledModel(content, source, check_weights=False)
    try:
        content = build_plan(graph, verdicts=measured).assemble()
    except OSError as error:
        raise ModelError(f"{source}: there is no room for its plan: {error.strerror}") from error
    return CompiledModel(content, source, check_weights=False)


def _from_cache(name: str, source: str) -> CompiledModel | None:
    found = plan_cache.find(name)
    if found is None:
        return None
    content, unchecked = found
    try:
        model = CompiledModel(content, source, unchecked)
    except ModelFormatError:
        plan_cache.remove(name)
        return None
    if unchecked:
        plan_cache.found_whole(name)
    return model
