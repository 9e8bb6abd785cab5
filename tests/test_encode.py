"""Training targets against decoding, anchors, and the geometry that both rest on, over random cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.boxes import nms
from edgecnn.graph.ir import TensorSpec
from edgecnn.graph.metadata import YoloHead
from edgecnn.yolo.anchors import kmeans_anchors, shape_iou
from edgecnn.yolo.decode import decode
from edgecnn.yolo.decoder import Decoder
from edgecnn.yolo.encode import encode, raw_map
from edgecnn.yolo.letterbox import boxes_to_source, place

seeds = st.integers(0, 2**32 - 1)
KINDS = ({"kind": "region"}, {"kind": "yolo"}, {"kind": "yolo", "scale_xy": 1.05})
NEW_COORDS = {"kind": "yolo", "scale_xy": 2.0, "new_coords": True, "softmax": False}


def random_case(seed: int) -> tuple[YoloHead, np.ndarray, np.ndarray, tuple[int, int], tuple[int, int]]:
    """A head, boxes in fractions of the input, classes, grid and input size."""
    rng = np.random.default_rng(seed)
    columns, rows = (int(v) for v in rng.integers(1, 20, 2))
    grid, size = (columns, rows), (columns * 32, rows * 32)
    options = (*KINDS, NEW_COORDS)[rng.integers(4)]
    sizes = rng.uniform(0.02, 0.9, (int(rng.integers(1, 7)), 2))
    unit = np.array(grid if options["kind"] == "region" else size)
    head = YoloHead("map", classes=int(rng.integers(1, 9)), anchors=tuple(map(tuple, sizes * unit)), **options)
    count = int(rng.integers(0, 30))
    centres, extent = rng.uniform(0, 1, (count, 2)), rng.uniform(0.02, 0.9, (count, 2))
    boxes = np.concatenate([centres - extent / 2, centres + extent / 2], axis=1)
    return head, boxes, rng.integers(0, head.classes, count), grid, size


def in_order(boxes: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((*boxes.T.round(4), classes))
    return boxes[order], classes[order]


def decoded(head: YoloHead, targets: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """By the meaning of decoding and by what `Detector` runs, which must agree."""
    raw = raw_map(head, targets)[None]
    boxes, scores, classes = decode([head], [raw], size, 0.5)
    np.testing.assert_allclose(scores, 1, atol=1e-4)
    production = Decoder([head], [TensorSpec(head.output, raw.shape)], size, "net")
    found, _, found_classes = production({head.output: raw.astype(np.float32)}, 0.5)
    for one, other in zip(in_order(boxes, classes), in_order(found, found_classes)):
        np.testing.assert_allclose(one, other, atol=1e-4)
    return boxes, classes


@given(seeds)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_decoding_gives_the_encoded_boxes_back(seed: int) -> None:
    head, boxes, classes, grid, size = random_case(seed)
    targets = encode(head, boxes, classes, grid, size)
    cells = np.minimum(((boxes[:, :2] + boxes[:, 2:]) / 2 * grid).astype(int), np.array(grid) - 1)
    _, crowd = np.unique(cells, axis=0, return_counts=True)
    kept = int(np.minimum(crowd, len(head.anchors)).sum())
    got_boxes, got_classes = decoded(head, targets, size)
    assert len(got_boxes) == int(targets[:, 0].sum()) == kept
    # Each box that comes back is one that went in; where no cell was too full, all come back.
    for box, class_id in zip(got_boxes, got_classes):
        assert (np.abs(boxes[classes == class_id] - box).max(axis=1) < 1e-4).any()
    if kept == len(boxes):
        for box, class_id in zip(boxes, classes):
            assert (np.abs(got_boxes[got_classes == class_id] - box).max(axis=1) < 1e-4).any()


@given(seeds)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_encoding_gives_the_decoded_targets_back(seed: int) -> None:
    """Also where several objects share a cell, in whatever order they come."""
    head, boxes, classes, grid, size = random_case(seed)
    targets = encode(head, boxes, classes, grid, size)
    got_boxes, got_classes = decoded(head, targets, size)
    order = np.random.default_rng(seed).permutation(len(got_boxes))
    again = encode(head, got_boxes[order], got_classes[order], grid, size)
    np.testing.assert_array_equal(again[:, 0], targets[:, 0])
    np.testing.assert_allclose(again, targets, atol=1e-3)


def test_an_object_belongs_to_the_cell_of_its_centre_and_the_anchor_of_its_shape() -> None:
    head = YoloHead("map", "region", 3, anchors=((1.0, 1.0), (1.0, 3.0)))
    tall, square = (0.5, 0.1, 0.75, 0.8), (0.55, 0.35, 0.8, 0.6)  # centres in column 2, row 1 of 4 x 4
    targets = encode(head, np.array([tall, square]), np.array([2, 1]), (4, 4), (128, 128))
    assert np.argwhere(targets[:, 0]).tolist() == [[0, 1, 2], [1, 1, 2]]
    assert targets[:, 5, 1, 2].tolist() == [1, 2]
    np.testing.assert_allclose(targets[0, 1:5, 1, 2], [0.7, 0.9, 0, 0], atol=1e-6)


def test_yolov1_heads_have_no_anchors() -> None:
    with pytest.raises(ValueError, match="no anchors"):
        encode(YoloHead("map", "detection", 3, side=7, boxes=2), np.zeros((0, 4)), np.zeros(0), (7, 7), (448, 448))


def test_anchors_are_the_sizes_that_there_are() -> None:
    rng = np.random.default_rng(0)
    true = np.array([[1, 2], [6, 5], [30, 10]])
    sizes = np.repeat(true, 40, axis=0) * rng.uniform(0.95, 1.05, (120, 2))
    found = kmeans_anchors(sizes, 3)
    np.testing.assert_allclose(found, true, rtol=0.03)
    assert shape_iou(sizes, found).max(axis=1).mean() > 0.93
    for bad, count in ((sizes, 0), (sizes[:2], 3), (np.zeros((3, 2)), 1), (np.full((3, 2), np.nan), 1)):
        with pytest.raises(ValueError):
            kmeans_anchors(bad, count)


@given(seeds)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_letterboxed_box_comes_back_within_half_a_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height, input_width, input_height = (int(v) for v in np.exp(rng.uniform(0, np.log(4000), 4)))
    placement = place(("letterbox", "stretch")[rng.integers(2)], width, height, input_width, input_height)
    corners = np.sort(rng.uniform(0, 1, (20, 2, 2)), axis=1).reshape(20, 4) * ([width, height] * 2)
    scale = np.array([placement.width / width, placement.height / height] * 2)
    inside = corners * scale + [placement.left, placement.top] * 2
    fractions = (inside / ([input_width, input_height] * 2)).astype(np.float32)
    # float32 itself is coarser than that where a large picture becomes an input of a few pixels
    finest = np.spacing(np.float32(1)) * max(input_width, input_height) / scale.min()
    np.testing.assert_allclose(boxes_to_source(fractions, placement), corners, atol=max(0.5, finest))


def brute_force_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """The definition, box by box: take the best that is left, strike out what overlaps it by more."""

    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        if width <= 0 or height <= 0:
            return 0.0
        both = float(width * height)
        return both / float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)

    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: (scores[i], -i))
        kept.append(best)
        left = [i for i in left if i != best and overlap(boxes[best], boxes[i]) <= threshold]
    return kept


@given(seeds)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_nms_is_its_definition(seed: int) -> None:
    """Few positions and scores, so that boxes, scores and overlaps tie often; quarters are exact."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 60))
    low = rng.integers(0, 8, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(0, 6, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(0, 5, count).astype(np.float32) / 4
    threshold = float(rng.choice([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert nms(boxes, scores, iou=threshold, max_det=1000).tolist() == brute_force_nms(boxes, scores, threshold)
