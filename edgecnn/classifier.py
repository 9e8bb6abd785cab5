"""From a picture to what it shows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.errors import InputError, ModelError
from edgecnn.graph.metadata import Preprocess
from edgecnn.images import open_picture
from edgecnn.picture_model import PictureModel

if TYPE_CHECKING:
    from edgecnn.images import ImageSource
    from edgecnn.picture_model import Labels, ModelSource


class Classification:
    """How probable each class is for one picture.

    Attributes
    ----------
    probabilities : ndarray
        float32 (classes,), summing to 1.
    names : tuple of str
        Label of each class; empty when the model does not say.
    speed : dict
        Milliseconds of "preprocess", "inference" and "postprocess".
    source : str
        File, or "".
    """

    def __init__(
        self,
        probabilities: np.ndarray,
        names: Sequence[str] = (),
        *,
        speed: Mapping[str, float] | None = None,
        source: str = "",
    ) -> None:
        self.probabilities = np.asarray(probabilities, np.float32).reshape(-1)
        self.names = tuple(names)
        self.speed = dict(speed or {})
        self.source = source

    def name(self, class_id: int) -> str:
        """Label of a class."""
        return self.names[class_id] if 0 <= class_id < len(self.names) else f"class {class_id}"

    def top(self, count: int = 5) -> list[tuple[int, str, float]]:
        """The most probable classes, as (class_id, name, probability), highest first."""
        if count < 1:
            raise InputError(f"top() needs a count of at least 1, got {count}")
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(i), self.name(int(i)), float(self.probabilities[i])) for i in order]

    def __str__(self) -> str:
        return ", ".join(f"{name} {probability:.3f}" for _, name, probability in self.top(3))

    def __repr__(self) -> str:
        return f"<Classification: {self}>"

    def to_dict(self, count: int = 5) -> dict[str, Any]:
        """Plain Python: source, speed and the *count* most probable classes."""
        rows = self.top(count)
        return {
            "source": self.source,
            "speed": {stage: round(float(ms), 3) for stage, ms in self.speed.items()},
            "classes": [{"class_id": i, "class": name, "probability": round(p, 6)} for i, name, p in rows],
        }

    def to_json(self, count: int = 5, indent: int | None = None) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(count), indent=indent, ensure_ascii=False)


class Classifier(PictureModel):
    """Says what a picture shows.

    Parameters are those of `edgecnn.Detector` that concern the model: *model*, *weights*, *backend*, *threads*,
    *labels*, *preprocess*. The model's output is taken as probabilities if it looks so (0 to 1, summing to 1), else
    softmax makes it so.

    Raises
    ------
    ModelError
        The model has no single output with one score per class.
    """

    def __init__(
        self,
        model: ModelSource,
        weights: str | os.PathLike[str] | None = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
        labels: Labels | None = None,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model, weights, backend, threads, labels, preprocess)
        try:
            if self.metadata.heads or len(self.predictor.outputs) != 1:
                shapes = ", ".join(f"{spec.name!r} {tuple(spec.shape)}" for spec in self.predictor.outputs)
                raise ModelError(
                    f"{self.predictor.name}: not a classifier, which has one output with a score per class "
                    f"(this model has {shapes})"
                )
        except BaseException:
            self.close()
            raise

    def __call__(self, image: ImageSource) -> Classification:
        """Classifies one picture, given as to `edgecnn.Detector`."""
        picture = open_picture(image)
        with self._lock:
            outputs, _, speed = self._infer(picture)
            start = time.perf_counter()
            (scores,) = outputs.values()
            coarse = scores.dtype.itemsize == 1
            if coarse:
                (scores,) = self.predictor.as_floats(outputs).values()
            scores = np.array(scores, np.float32).reshape(self._preprocessor.array.shape[0], -1)[0]
        # Probabilities of 8 bits do not sum to 1, because the small ones among them are rounded away.
        probabilities = scores if coarse and scores.min() >= 0 and scores.max() <= 1 else as_probabilities(scores)
        speed["postprocess"] = 1e3 * (time.perf_counter() - start)
        if self.labels and len(self.labels) != len(probabilities):
            raise InputError(f"{self.predictor.name}: {len(self.labels)} labels for {len(probabilities)} classes")
        return Classification(probabilities, self.labels, speed=speed, source=picture.name)


def as_probabilities(scores: np.ndarray) -> np.ndarray:
    """Scores (classes,) as they are if they are probabilities, else their softmax; NaN becomes 0."""
    from edgecnn import _core

    return _core.to_probabilities(np.asarray(scores, np.float32))
