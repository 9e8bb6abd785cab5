"""Classifiers against pictures of known class: what ``edgecnn eval`` runs on a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.errors import InputError
from edgecnn.evaluate.annotations import Problem
from edgecnn.evaluate.labelled import LabelledPicture

if TYPE_CHECKING:
    from edgecnn.classifier import Classifier

Progress = Callable[[int, int], None]
MOST_WORST = 10
MOST_IN_TEXT = 15  # a confusion matrix of more classes is not printed


@dataclass(frozen=True)
class Mistake:
    """A picture, the class that it was taken for, and how probable that and its own class were."""

    picture: LabelledPicture
    answer: int
    probability: float
    of_its_own: float


@dataclass
class ClassificationResult:
    """How often a classifier is right.

    Attributes
    ----------
    top1, top5 : float
        Part of the pictures whose class is the most probable one, and among the five most probable.
    confusion : ndarray
        int64 (classes, classes); ``confusion[i, j]`` pictures of class i were taken for class j.
    answers : ndarray
        int64 (pictures,), the most probable class of each.
    worst : list of Mistake
        Wrong answers, the most probable ones first; ten at most.
    problems : list of Problem
        Pictures that could not be read, and do not count.
    """

    model: str
    backend: str
    pictures: int
    names: tuple[str, ...]
    top1: float
    top5: float
    confusion: np.ndarray
    answers: np.ndarray
    worst: list[Mistake] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def shown(self) -> list[int]:
        """Numbers of the classes that occur, as truth or as answer."""
        return [int(i) for i in np.flatnonzero(self.confusion.sum(0) + self.confusion.sum(1))]

    def __str__(self) -> str:
        lines = [f"{self.pictures} pictures: top-1 {self.top1:.4f}, top-5 {self.top5:.4f}"]
        width = max(len(self.names[i]) for i in self.shown)
        for i in self.shown:
            row = self.confusion[i]
            if row.sum():
                wrong = sorted(((int(n), self.names[j]) for j, n in enumerate(row) if n and j != i), reverse=True)
                taken = ", ".join(f"{name} {count}" for count, name in wrong[:5])
                right = f"{row[i]:>5} of {row.sum():<5} {row[i] / row.sum():>7.1%}"
                lines.append(f"{self.names[i]:<{width}} {right}" + (f"  taken for {taken}" if taken else ""))
        if len(self.shown) <= MOST_IN_TEXT:
            lines += ["", *self._matrix(width)]
        return "\n".join(lines)

    def _matrix(self, width: int) -> list[str]:
        """The confusion matrix as text: a row for each class, a column for what it was taken for."""
        cell = max(4, len(str(self.confusion.max())) + 1)
        heads = "".join(f"{self.names[i][: cell - 1]:>{cell}}" for i in self.shown)
        lines = [f"{'is, taken for':<{max(width, 13)}}{heads}"]
        for i in self.shown:
            counts = "".join(f"{self.confusion[i, j] or '.':>{cell}}" for j in self.shown)
            lines.append(f"{self.names[i]:<{max(width, 13)}}{counts}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain Python."""
        return {
            "model": self.model,
            "backend": self.backend,
            "pictures": self.pictures,
            "top1": self.top1,
            "top5": self.top5,
            "unreadable": len(self.problems),
            "classes": list(self.names),
            "confusion": self.confusion.tolist(),
            "worst": [
                {"picture": one.picture.name, "class": one.picture.class_id, "answer": one.answer, "p": one.probability}
                for one in self.worst
            ],
        }


def evaluate_classifier(
    classifier: Classifier, pictures: Sequence[LabelledPicture], progress: Progress | None = None
) -> ClassificationResult:
    """Top-1 and top-5 accuracy of a classifier on pictures of known class.

    Raises
    ------
    InputError
        None of the pictures can be read.
    """
    wanted, answers, problems = [], [], []
    mistakes: list[Mistake] = []
    within5 = 0
    names: tuple[str, ...] = ()
    for done, one in enumerate(pictures):
        if progress:
            progress(done, len(pictures))
        try:
            picture = one.open()
        except InputError as error:
            problems.append(Problem.of_picture(one.name, error))
            continue
        result = classifier(picture)
        names = names or tuple(result.name(i) for i in range(len(result.probabilities)))
        best = [row[0] for row in result.top(5)]
        wanted.append(one.class_id)
        answers.append(best[0])
        within5 += one.class_id in best
        if best[0] != one.class_id:
            p = result.probabilities
            mistakes.append(Mistake(one, best[0], float(p[best[0]]), float(p[one.class_id])))
    if progress:
        progress(len(pictures), len(pictures))
    if not wanted:
        raise InputError(f"no picture can be read; first problem: {problems[0]}")
    confusion = np.zeros((len(names),) * 2, np.int64)
    np.add.at(confusion, (wanted, answers), 1)
    return ClassificationResult(
        classifier.predictor.name,
        classifier.predictor.backend,
        len(wanted),
        names,
        float(np.trace(confusion)) / len(wanted),
        within5 / len(wanted),
        confusion,
        np.array(answers, np.int64),
        sorted(mistakes, key=lambda one: -one.probability)[:MOST_WORST],
        problems,
    )
