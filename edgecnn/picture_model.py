"""What `Detector` and `Classifier` share: a predictor that is given pictures."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Union

import numpy as np

from edgecnn.errors import ClosedError, InputError
from edgecnn.graph.metadata import Metadata, Preprocess, changed
from edgecnn.images import Picture
from edgecnn.importers import SUFFIXES
from edgecnn.yolo.preprocessor import Preprocessor

if TYPE_CHECKING:
    from edgecnn.predictor import Predictor

    ModelSource = Union[str, "os.PathLike[str]", Predictor]
    Labels = Union[Sequence[str], str, "os.PathLike[str]"]

Self = TypeVar("Self", bound="PictureModel")


class PictureModel:
    """A predictor with one input, which pictures are put into.

    Attributes
    ----------
    predictor : Predictor
    labels : tuple of str
        Name of each class; empty when the model does not say.
    """

    def __init__(
        self,
        model: ModelSource,
        weights: str | os.PathLike[str] | None,
        backend: str,
        threads: int | None,
        labels: Labels | None,
        preprocess: Preprocess | Mapping[str, Any] | None,
    ) -> None:
        self._owns_predictor = isinstance(model, (str, os.PathLike))
        known: Preprocess | None = None
        if _is_zoo_name(model):
            from edgecnn.zoo import resolve

            files = resolve(str(model))
            model, weights = files.model, weights if weights is not None else files.weights
            labels = labels if labels is not None else files.labels
            known = files.preprocess
        self.predictor = _open_model(model, weights, backend, threads)
        try:
            if len(self.predictor.inputs) != 1:
                names = ", ".join(repr(spec.name) for spec in self.predictor.inputs)
                raise InputError(
                    f"{self.predictor.name}: a picture goes into one input, this model has several: {names}"
                )
            self._input_name = self.predictor.inputs[0].name
            self._preprocessor = Preprocessor(
                self.predictor.inputs[0], changed(known or self.metadata.preprocess, preprocess or {})
            )
            self.labels = read_labels(labels) if labels is not None else tuple(self.metadata.labels)
        except BaseException:
            self.close()
            raise
        self._lock = threading.Lock()

    @property
    def metadata(self) -> Metadata:
        """What the model file knows beside its graph."""
        return self.predictor.metadata

    def close(self) -> None:
        """Frees the model, unless it came as a `Predictor`, which its owner closes."""
        if self._owns_predictor:
            self.predictor.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.predictor.name!r} on {self.predictor.backend}>"

    def _infer(self, picture: Picture) -> tuple[dict[str, np.ndarray], Any, dict[str, float]]:
        """Outputs, placement of the picture in the input, and milliseconds. The caller holds the lock."""
        start = time.perf_counter()
        placement = self._preprocessor(picture)
        ready = time.perf_counter()
        outputs = self.predictor.run({self._input_name: self._preprocessor.array})
        speed = {"preprocess": 1e3 * (ready - start), "inference": 1e3 * (time.perf_counter() - ready)}
        return outputs, placement, speed


def read_labels(labels: Labels) -> tuple[str, ...]:
    """Labels from a sequence, or from a text file with one per line.

    Raises
    ------
    InputError
        The file cannot be read, or the sequence holds something that is not text.
    """
    if isinstance(labels, (str, os.PathLike)):
        try:
            text = Path(labels).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"labels file {labels}: {error}") from error
        return tuple(line.strip() for line in text.strip().splitlines())
    names = tuple(labels)
    if not all(isinstance(name, str) for name in names):
        raise InputError("labels must be text, one per class, or the path of a file with one per line")
    return names


def _is_zoo_name(model: object) -> bool:
    """Whether *model* is a bare word such as "digits", no file of that name is here, and it is not just a network."""
    if not isinstance(model, str) or Path(model).name != model or Path(model).is_file():
        return False
    if Path(model).suffix.lower() in (*SUFFIXES, ".ecnn", ".weights"):
        return False
    from edgecnn.zoo import list_models

    if any(model == entry.name for entry in list_models()):
        return True
    from edgecnn.networks import is_network

    return not is_network(model)


def _open_model(
    model: ModelSource, weights: str | os.PathLike[str] | None, backend: str, threads: int | None
) -> Predictor:
    if not isinstance(model, (str, os.PathLike)):
        if not (hasattr(model, "run") and hasattr(model, "inputs") and hasattr(model, "metadata")):
            raise InputError(f"a model is a zoo name, a path or a Predictor, not {type(model).__name__}")
        if weights is not None:
            raise InputError("weights go with the path of a .cfg, not with a Predictor")
        if getattr(model, "closed", False):
            raise ClosedError(f"{model.name}: the predictor is closed")
        return model
    from edgecnn.predictor import load

    return load(model, weights=weights, backend=backend, threads=threads)
