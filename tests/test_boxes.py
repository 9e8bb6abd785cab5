"""boxes.iou and boxes.nms: the C++ code against its meaning in numpy, and their treatment of odd input."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.boxes import iou, nms, reference_iou, reference_nms
from edgecnn.errors import InputError


def random_boxes(rng: np.random.Generator, count: int, grid: int = 12) -> np.ndarray:
    """Boxes on a coarse grid, so that equal boxes, touching boxes and boxes without area happen."""
    corner = rng.integers(0, grid, (count, 2))
    size = rng.integers(-1, grid // 2, (count, 2))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 2, 2], [0, 0, 0, 5]])
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6], [2, 0, 4, 2]])
    np.testing.assert_allclose(iou(a, b), [[1 / 7, 1, 0, 0], [0, 0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_iou_equals_its_meaning(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, 40), random_boxes(rng, 30)
    a[3, 1], b[5] = np.nan, np.inf
    b[6] = [-np.inf, -np.inf, np.inf, np.inf]
    np.testing.assert_array_equal(iou(a, b), reference_iou(a, b))


@pytest.mark.parametrize("empty", [np.zeros((0, 4)), np.zeros(0), []])
def test_iou_of_no_boxes(empty: object) -> None:
    assert iou(empty, [[0, 0, 1, 1]]).shape == (0, 1)  # type: ignore[arg-type]
    assert iou([[0, 0, 1, 1]], empty).shape == (1, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("agnostic", [False, True])
def test_nms_equals_its_meaning(seed: int, agnostic: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 80))
    boxes = random_boxes(rng, count)
    scores = rng.integers(0, 6, count).astype(np.float32) / 6  # many ties
    classes = rng.integers(0, 3, count)
    scores[rng.random(count) < 0.1] = np.nan
    boxes[rng.random(count) < 0.1, 2] = np.nan
    for threshold in (0.0, 0.25, 0.45, 0.5, 1.0):
        options = {"iou": threshold, "max_det": int(rng.integers(1, count + 5)), "agnostic": agnostic}
        expected = reference_nms(boxes, scores, classes, **options)
        np.testing.assert_array_equal(nms(boxes, scores, classes, **options), expected)
        np.testing.assert_array_equal(nms(boxes, scores, **options), reference_nms(boxes, scores, **options))


def test_nms_keeps_the_better_of_two_and_other_classes() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]]
    scores = [0.5, 0.9, 0.7, 0.6]
    assert nms(boxes, scores, [0, 0, 1, 0]).tolist() == [1, 2, 3]
    assert nms(boxes, scores, [0, 0, 1, 0], agnostic=True).tolist() == [1, 3]
    assert nms(boxes, scores, [0, 0, 1, 0], max_det=2).tolist() == [1, 2]


def test_nms_ties_keep_the_given_order() -> None:
    boxes = [[i * 20, 0, i * 20 + 10, 10] for i in range(50)]
    assert nms(boxes, [0.5] * 50).tolist() == list(range(50))


def test_nms_overlap_equal_to_the_threshold_is_not_suppressed() -> None:
    boxes = [[0, 0, 4, 4], [0, 0, 4, 2]]  # IoU exactly .5
    assert nms(boxes, [0.9, 0.8], iou=0.5).tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], iou=0.49).tolist() == [0]


def test_nms_of_no_boxes() -> None:
    assert nms(np.zeros((0, 4)), np.zeros(0), np.zeros(0)).tolist() == []


def test_nms_of_many_boxes_of_one_place_ends_soon() -> None:
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (200_000, 1))
    assert nms(boxes, np.linspace(1, 0, len(boxes)), max_det=5).tolist() == [0]


@pytest.mark.parametrize(
    "arguments",
    [
        {"boxes": np.zeros((3, 5))},
        {"boxes": np.zeros((2, 4))},
        {"scores": np.zeros(2)},
        {"scores": np.zeros((3, 1))},
        {"classes": np.zeros(4)},
        {"boxes": "abc"},
        {"iou": -0.1},
        {"iou": 1.5},
        {"iou": float("nan")},
        {"max_det": 0},
    ],
)
def test_nms_refuses_what_does_not_fit(arguments: dict) -> None:
    good = {"boxes": np.zeros((3, 4)), "scores": np.zeros(3), "classes": np.zeros(3)}
    with pytest.raises(InputError):
        nms(**{**good, **arguments})
