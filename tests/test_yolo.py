"""Letterbox and decode: the C++ code against its meaning in numpy, and properties of both."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.errors import InputError, ModelError
from edgecnn.graph.ir import TensorSpec
from edgecnn.graph.metadata import Preprocess, YoloHead
from edgecnn.images import Picture
from edgecnn.yolo import decode as meaning
from edgecnn.yolo.decoder import Decoder
from edgecnn.yolo.families import ROW_VALUES, nanodet_rows
from edgecnn.yolo.letterbox import boxes_to_source, filter_matrix, picture_to_tensor, place
from edgecnn.yolo.preprocessor import Preprocessor

core = pytest.importorskip("edgecnn._core")


def fractions(detector_box: np.ndarray, placement) -> np.ndarray:  # type: ignore[no-untyped-def]
    """A box in pixels of the source, as fractions of the input: the way a picture goes into the network."""
    factor = np.array([placement.width / placement.source_width, placement.height / placement.source_height] * 2)
    origin = np.array([placement.left, placement.top] * 2)
    return (detector_box * factor + origin) / np.array([placement.input_width, placement.input_height] * 2)


# --- letterbox ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_picture_to_tensor_equals_its_meaning(seed: int) -> None:
    rng = np.random.default_rng(seed)
    channels = int(rng.choice([0, 1, 3, 4]))
    size = tuple(int(v) for v in rng.integers(1, 90, 2))
    pixels = rng.integers(0, 256, size + ((channels,) if channels else ()), dtype=np.uint8)
    order, color = str(rng.choice(["bgr", "rgb"])), str(rng.choice(["rgb", "bgr", "grey"]))
    depth = 1 if color == "grey" else 3
    height, width = (int(v) for v in rng.integers(4, 70, 2))
    preprocess = Preprocess(
        color=color,
        resize=str(rng.choice(["stretch", "letterbox"])),
        mean=tuple(rng.uniform(0, 128, rng.choice([1, depth]))),
        scale=tuple(rng.uniform(0.1, 1, rng.choice([1, depth])) / 128),
    )
    expected, placement = picture_to_tensor(pixels, order, preprocess, width, height)
    for shape in ((1, depth, height, width), (1, height, width, depth)):
        if shape[1] == depth == shape[3]:
            continue
        run = Preprocessor(TensorSpec("x", shape), preprocess)
        got_placement = run(Picture(pixels, order))
        got = run.array[0].transpose(1, 2, 0) if shape[1] == depth else run.array[0]
        # Row weights are rounded to 2^-14: at most half of that per tap, of pixels up to 255.
        np.testing.assert_allclose(got, expected, atol=0.05 * max(preprocess.scale), rtol=0)
        assert [getattr(got_placement, name) for name in placement._fields] == list(placement)


@pytest.mark.parametrize(("dtype", "zero"), [(np.uint8, 0), (np.int8, 128)])
def test_inputs_of_8_bits_take_pixels(dtype: type, zero: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    run = Preprocessor(TensorSpec("x", (2, 6, 5, 3), np.dtype(dtype)), Preprocess(mean=(9.0,)))
    run(Picture(pixels, "rgb"))
    assert run.array.dtype == dtype
    np.testing.assert_array_equal(run.array[0].astype(int) + zero, pixels)
    assert not run.array[1].any()
    with pytest.raises(InputError, match="float32, uint8 and int8"):
        Preprocessor(TensorSpec("x", (1, 6, 5, 3), np.dtype(np.float64)), Preprocess())


def test_a_flat_picture_stays_flat() -> None:
    run = Preprocessor(TensorSpec("x", (1, 3, 37, 53)), Preprocess(scale=(1.0,)))
    for value in (0, 1, 127, 255):
        for size in ((1, 1), (3, 400), (999, 7), (37, 53)):
            run(Picture(np.full((*size, 3), value, np.uint8)))
            np.testing.assert_allclose(run.array, value, rtol=1e-5)


def test_same_size_copies_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    run = Preprocessor(TensorSpec("x", (1, 20, 30, 3)), Preprocess(color="bgr", scale=(1.0,)))
    run(Picture(pixels, "bgr"))
    np.testing.assert_array_equal(run.array[0], pixels.astype(np.float32))


def test_resize_is_pillows_bilinear() -> None:
    image_module = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    for source, target in (((97, 61), (32, 32)), ((20, 33), (64, 48)), ((64, 64), (31, 100))):
        pixels = rng.integers(0, 256, (*source, 3), dtype=np.uint8)
        expected = image_module.fromarray(pixels).resize(target[::-1], image_module.Resampling.BILINEAR)
        run = Preprocessor(TensorSpec("x", (1, *target, 3)), Preprocess(scale=(1.0,)))
        run(Picture(pixels, "rgb"))
        assert np.abs(run.array[0] - np.asarray(expected, np.float32)).max() < 1.05  # it rounds twice to bytes


@pytest.mark.parametrize("view", ["flipped rows", "flipped columns", "cropped", "every second", "fortran"])
def test_pixels_of_any_stride(view: str) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    views = {
        "flipped rows": pixels[::-1],
        "flipped columns": pixels[:, ::-1],
        "cropped": pixels[5:30, 7:41],
        "every second": pixels[::2, ::2],
        "fortran": np.asfortranarray(pixels),
    }
    run = Preprocessor(TensorSpec("x", (1, 3, 24, 24)), Preprocess())
    run(Picture(views[view]))
    seen = run.array.copy()
    run(Picture(np.ascontiguousarray(views[view])))
    np.testing.assert_array_equal(seen, run.array)


def test_one_preprocessor_serves_changing_pictures() -> None:
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, s, dtype=np.uint8) for s in ((30, 40, 3), (50, 20), (30, 40, 4), (30, 40, 3))]
    spec, preprocess = TensorSpec("x", (1, 3, 32, 32)), Preprocess(resize="letterbox")
    shared = Preprocessor(spec, preprocess)
    for pixels in (*pictures, *pictures[::-1]):
        shared(Picture(pixels))
        fresh = Preprocessor(spec, preprocess)
        fresh(Picture(pixels))
        np.testing.assert_array_equal(shared.array, fresh.array)


def test_letterbox_border_is_grey_and_centred() -> None:
    run = Preprocessor(TensorSpec("x", (1, 3, 100, 100)), Preprocess(resize="letterbox"))
    placement = run(Picture(np.full((50, 100, 3), 255, np.uint8)))
    assert (placement.left, placement.top, placement.width, placement.height) == (0, 25, 100, 50)
    np.testing.assert_allclose(run.array[:, :, :25], 0.5)
    np.testing.assert_allclose(run.array[:, :, 25:75], 1.0, rtol=1e-5)
    np.testing.assert_allclose(run.array[:, :, 75:], 0.5)


def test_a_batch_gets_the_picture_in_its_first_place() -> None:
    run = Preprocessor(TensorSpec("x", (4, 1, 8, 8)), Preprocess())
    run(Picture(np.full((9, 9), 255, np.uint8)))
    assert run.array.shape == (4, 1, 8, 8)
    np.testing.assert_allclose(run.array[0], 1.0, rtol=1e-5)
    np.testing.assert_array_equal(run.array[1:], 0)


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("x", (1, 3, 8)),
        TensorSpec("x", (1, 7, 8, 9)),
        TensorSpec("x", (1, 3, 8, 8), np.dtype(np.float64)),
        TensorSpec("x", (1, 3, -1, 8)),
        TensorSpec("x", ("n", 3, "h", "w")),  # type: ignore[arg-type]
    ],
)
def test_inputs_that_are_not_pictures_are_refused(spec: TensorSpec) -> None:
    with pytest.raises(InputError, match="'x'"):
        Preprocessor(spec, Preprocess())


def test_wrong_number_of_means_is_refused() -> None:
    with pytest.raises(InputError, match="mean"):
        Preprocessor(TensorSpec("x", (1, 3, 8, 8)), Preprocess(mean=(1.0, 2.0)))


def test_filter_rows_sum_to_one() -> None:
    for source, target in ((1, 1), (1, 9), (9, 1), (100, 7), (7, 100)):
        np.testing.assert_allclose(filter_matrix(source, target).sum(axis=1), 1)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_boxes_come_back_from_any_size(resize: str) -> None:
    """Round trip of boxes through any letterbox: the same numbers come back, far within half a pixel."""
    rng = np.random.default_rng(5)
    for _ in range(500):
        source_w, source_h, input_w, input_h = (int(v) for v in rng.integers(1, 4000, 4))
        placement = core.place(resize, source_w, source_h, input_w, input_h)
        assert placement.left >= 0 and placement.left + placement.width <= input_w
        assert placement.top >= 0 and placement.top + placement.height <= input_h
        box = np.sort(rng.uniform(0, 1, (2, 2)), axis=0).reshape(4) * [source_w, source_h, source_w, source_h]
        back = core.boxes_to_source(fractions(box, placement)[None].astype(np.float32), placement)
        tolerance = min(0.5, 1e-6 * max(input_w / placement.width * source_w, input_h / placement.height * source_h))
        np.testing.assert_allclose(back[0], box, atol=max(tolerance, 1e-3))


@pytest.mark.parametrize("seed", range(25))
def test_a_painted_box_comes_back_from_the_pixels(seed: int) -> None:
    """Not only the numbers: a white box in the picture lies where the placement says, within half an input pixel."""
    rng = np.random.default_rng(seed)
    source_h, source_w = (int(v) for v in rng.integers(40, 500, 2))
    box = np.array([0.2 * source_w, 0.3 * source_h, 0.7 * source_w, 0.8 * source_h]).round()
    pixels = np.zeros((source_h, source_w), np.uint8)
    pixels[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = 255
    run = Preprocessor(TensorSpec("x", (1, 1, 224, 224)), Preprocess(resize="letterbox"))
    placement = run(Picture(pixels))
    inside = run.array[0, 0, placement.top : placement.top + placement.height]
    inside = inside[:, placement.left : placement.left + placement.width]
    across, down = inside.max(axis=0), inside.max(axis=1)  # the profile's area is the width of the box
    width, height = across.sum(), down.sum()
    middle_x = (across * (np.arange(placement.width) + 0.5)).sum() / width
    middle_y = (down * (np.arange(placement.height) + 0.5)).sum() / height
    found = np.array([middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2])
    found = (found + np.array([placement.left, placement.top] * 2)) / 224
    expected = fractions(box, placement)
    np.testing.assert_allclose(found, expected, atol=0.5 / 224)


def test_boxes_to_source_equals_its_meaning_and_clips() -> None:
    rng = np.random.default_rng(7)
    boxes = rng.normal(0.5, 2, (200, 4)).astype(np.float32)
    boxes[0] = [-np.inf, -np.inf, np.inf, np.inf]
    for sizes in ((640, 480, 416, 416), (1, 1, 32, 64), (3, 999, 320, 320)):
        for resize in ("stretch", "letterbox"):
            got = core.boxes_to_source(boxes, core.place(resize, *sizes))
            np.testing.assert_allclose(got, boxes_to_source(boxes, place(resize, *sizes)), rtol=1e-6)
            assert got.min() >= 0 and (got <= np.array([sizes[0], sizes[1]] * 2)).all()


# --- decode ------------------------------------------------------------------------------------------------------


SIZE = (96, 64)  # of the input


def anchor_head(rng: np.random.Generator, kind: str, **options: object) -> YoloHead:
    anchors = tuple((float(w), float(h)) for w, h in rng.uniform(0.5, 12, (int(rng.integers(1, 6)), 2)))
    return YoloHead(output="out", kind=kind, classes=int(rng.integers(1, 9)), anchors=anchors, **options)  # type: ignore[arg-type]


def head_variants(rng: np.random.Generator) -> list[YoloHead]:
    v1 = {"output": "out", "kind": "detection", "classes": 4, "boxes": 2}
    return [
        anchor_head(rng, "region", softmax=True),
        anchor_head(rng, "region", softmax=False),
        anchor_head(rng, "yolo"),
        anchor_head(rng, "yolo", scale_xy=1.2),
        anchor_head(rng, "yolo", scale_xy=2.0, new_coords=True),
        YoloHead(**v1, side=int(rng.integers(1, 8)), sqrt=True, softmax=False),  # type: ignore[arg-type]
        YoloHead(**v1, side=int(rng.integers(1, 8)), sqrt=False, softmax=True),  # type: ignore[arg-type]
        *[YoloHead("out", kind, int(rng.integers(1, 9))) for kind in ("v5", "v8", "fastestdet")],
        YoloHead("out", "nanodet", int(rng.integers(1, 9)), boxes=8),
        YoloHead("out", "ssd", int(rng.integers(1, 9)), box_output="boxes"),
    ]


def random_map(rng: np.random.Generator, head: YoloHead, spread: float) -> np.ndarray:
    if head.kind == "detection":
        shape: tuple[int, ...] = (1, head.side**2 * (head.classes + 5 * head.boxes))
    elif head.kind in ROW_VALUES:
        rows, values_of_row = nanodet_rows(SIZE), ROW_VALUES[head.kind](head)
        shape = (1, values_of_row, rows) if head.kind == "v8" else (1, rows, values_of_row)
    else:
        grid_h, grid_w = (int(v) for v in rng.integers(1, 9, 2))
        shape = (1, max(1, len(head.anchors)) * (5 + head.classes), grid_h, grid_w)
    values = rng.normal(0, spread, shape).astype(np.float32)
    return meaning.logistic(values) if head.new_coords else values


def run_both(head: YoloHead, values: np.ndarray, conf: float) -> tuple[tuple, tuple]:
    specs, outputs = [TensorSpec("out", values.shape)], {"out": values}
    if head.box_output:
        outputs["boxes"] = np.random.default_rng(5).random((1, values.shape[1], 4), np.float32)
        specs.append(TensorSpec("boxes", outputs["boxes"].shape))
    decoder = Decoder([head], specs, SIZE, "model")
    return decoder(outputs, conf), meaning.decode([head], [values], SIZE, conf, outputs.get("boxes"))


def in_order(found: tuple) -> tuple:
    """Candidates in one order, whatever the order they were found in; scores near the threshold stay in place."""
    boxes, scores, classes = found
    order = np.lexsort((boxes[:, 1].round(3), boxes[:, 0].round(3), classes))
    return boxes[order], scores[order], classes[order]


def assert_same(got: tuple, expected: tuple) -> None:
    assert len(got[0]) == len(expected[0])
    for a, b in zip(in_order(got), in_order(expected)):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("variant", range(12))
def test_decode_equals_its_meaning(seed: int, variant: int) -> None:
    rng = np.random.default_rng(100 * seed + variant)
    head = head_variants(rng)[variant]
    values = random_map(rng, head, spread=1.5)
    for conf in (0.0, 0.0625, 0.3):
        _, (_, scores, _) = run_both(head, values, 0.0)
        if np.any(np.abs(scores - conf) < 1e-5):
            conf += 1e-3
        assert_same(*run_both(head, values, conf))


@pytest.mark.parametrize("variant", range(12))
def test_decode_of_extreme_values(variant: int) -> None:
    """Overflowing exponentials, infinities and NaN: the same candidates, and never a NaN among them."""
    rng = np.random.default_rng(variant)
    head = head_variants(rng)[variant]
    values = random_map(rng, head, spread=300)
    flat = values.reshape(-1)
    flat[rng.random(flat.size) < 0.02] = np.nan
    flat[rng.random(flat.size) < 0.02] = np.inf
    flat[rng.random(flat.size) < 0.02] = -np.inf
    got, expected = run_both(head, values, 0.5)
    assert len(got[0]) == len(expected[0])
    assert not np.isnan(got[0]).any() and not np.isnan(got[1]).any()
    np.testing.assert_array_equal(np.sort(got[2]), np.sort(expected[2]))
    np.testing.assert_allclose(np.sort(got[1]), np.sort(expected[1]), rtol=1e-4)


@pytest.mark.parametrize("variant", range(12))
def test_decode_of_nothing(variant: int) -> None:
    rng = np.random.default_rng(variant)
    head = head_variants(rng)[variant]
    values = random_map(rng, head, spread=1) * 0 - (0 if head.kind == "detection" or head.new_coords else 50)
    for fill in (values, np.full_like(values, np.nan)):
        boxes, scores, classes = run_both(head, fill, 0.25)[0]
        assert boxes.shape == (0, 4) and scores.shape == (0,) and classes.shape == (0,)


def test_one_cell_by_hand() -> None:
    head = YoloHead("out", "region", classes=2, anchors=((2.0, 3.0),))
    values = np.array([0, 0, 0, 0, 0, 0, np.log(3)], np.float32).reshape(1, 7, 1, 1)
    (boxes, scores, classes), _ = run_both(head, values, 0.2)
    np.testing.assert_allclose(boxes, [[-0.5, -1, 1.5, 2]], rtol=1e-6)  # centre .5, size 2 x 3 cells of a 1x1 grid
    np.testing.assert_allclose(scores, [0.5 * 0.75], rtol=1e-6)
    assert classes.tolist() == [1]


def test_version_4_scales_about_the_middle() -> None:
    head = YoloHead("out", "yolo", classes=1, anchors=((48.0, 16.0),), scale_xy=2.0)
    values = np.full((1, 6, 1, 1), 50, np.float32)
    values[0, 1] = -50
    values[0, 2:4] = 0
    (boxes, _, _), _ = run_both(head, values, 0.2)
    np.testing.assert_allclose(boxes, [[1.5 - 0.25, -0.5 - 0.125, 1.5 + 0.25, -0.5 + 0.125]], rtol=1e-6)


def test_several_heads_and_more_candidates_than_the_first_guess() -> None:
    rng = np.random.default_rng(0)
    heads = [YoloHead(name, "yolo", classes=5, anchors=((9.0, 9.0), (30.0, 20.0))) for name in ("a", "b")]
    maps = [rng.normal(0, 1, (1, 20, grid, grid)).astype(np.float32) for grid in (16, 8)]
    specs = [TensorSpec(h.output, m.shape) for h, m in zip(heads, maps)]
    got = Decoder(heads, specs, (256, 256), "model")({"a": maps[0], "b": maps[1]}, 0.0)
    assert len(got[0]) == 2 * 5 * (256 + 64)
    assert_same(got, meaning.decode(heads, maps, (256, 256), 0.0))


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (YoloHead("other", "region", classes=2, anchors=((1.0, 1.0),)), (1, 7, 3, 3)),
        (YoloHead("out", "region", classes=2, anchors=((1.0, 1.0),)), (1, 8, 3, 3)),
        (YoloHead("out", "region", classes=2), (1, 7, 3, 3)),
        (YoloHead("out", "region", classes=0, anchors=((1.0, 1.0),)), (1, 5, 3, 3)),
        (YoloHead("out", "yolo", classes=2, anchors=((1.0, 1.0),)), (1, 63)),
        (YoloHead("out", "detection", classes=2, side=3, boxes=2), (1, 9 * 12 + 1)),
        (YoloHead("out", "detection", classes=2, side=0, boxes=2), (1, 0)),
        (YoloHead("out", "retina", classes=2, anchors=((1.0, 1.0),)), (1, 7, 3, 3)),
        (YoloHead("out", "v5", classes=2), (1, 9, 6)),
        (YoloHead("out", "v8", classes=2), (1, 9, 6)),
        (YoloHead("out", "v8", classes=2), (1, 6)),
        (YoloHead("out", "fastestdet", classes=2), (1, 6, 3, 3)),
        (YoloHead("out", "nanodet", classes=2, boxes=8), (1, 21, 34)),
        (YoloHead("out", "nanodet", classes=2), (1, 21, 2)),
        (YoloHead("out", "ssd", classes=2), (1, 9, 3)),
        (YoloHead("out", "ssd", classes=2, box_output="out"), (1, 9, 3)),
    ],
)
def test_heads_that_do_not_fit_their_maps_are_refused(head: YoloHead, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="model: the"):
        Decoder([head], [TensorSpec("out", shape)], (32, 32), "model")


def test_ultralytics_by_hand() -> None:
    row = np.array([48, 16, 24, 8, 0.5, 0.1, 0.8], np.float32)
    expected = [[36 / 96, 12 / 64, 60 / 96, 20 / 64]]
    for head, values in (
        (YoloHead("out", "v5", 2), row.reshape(1, 1, 7)),
        (YoloHead("out", "v8", 2), row[[0, 1, 2, 3, 5, 6]].reshape(1, 6, 1)),
    ):
        (boxes, scores, classes), _ = run_both(head, values, 0.3)
        np.testing.assert_allclose(boxes, expected, rtol=1e-6)
        np.testing.assert_allclose(scores, [0.4 if head.kind == "v5" else 0.8], rtol=1e-6)
        assert classes.tolist() == [1]


def test_nanodet_by_hand() -> None:
    """The first cell of stride 16, the only one with a class: its sides are 1, 2, 3 and 4 strides away."""
    head = YoloHead("out", "nanodet", 1, boxes=8)
    values = np.zeros((1, nanodet_rows(SIZE), 33), np.float32)
    values[0, 12 * 8 + 7, 0] = 0.9  # column 1, row 1 of 6 x 4 cells
    for side in range(4):
        values[0, 12 * 8 + 7, 1 + 8 * side + side + 1] = 100
    (boxes, scores, _), _ = run_both(head, values, 0.5)
    np.testing.assert_allclose(boxes, [[0, -16 / 64, (16 + 48) / 96, (16 + 64) / 64]], atol=1e-6)
    np.testing.assert_allclose(scores, [0.9])


def test_core_refuses_arrays_of_the_wrong_size() -> None:
    head = core.YoloHead("region", 2, 1, [1.0, 1.0], True, False, 1.0, False)
    with pytest.raises(ValueError, match="size"):
        core.decode_yolo([np.zeros((1, 7, 3, 3), np.float32)], [np.zeros(0, np.float32)], [head], [(4, 4)], 32, 32, 0.5)
    letterbox = core.Letterbox(8, 8, True, "rgb", "stretch", [0.0], [1.0])
    pixels = np.zeros((5, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="size"):
        letterbox(pixels, True, np.zeros((1, 3, 8, 7), np.float32))
    with pytest.raises(ValueError, match="contiguous"):
        letterbox(pixels, True, np.zeros((3, 8, 16), np.float32)[:, :, ::2])
    with pytest.raises(ValueError, match="uint8"):
        letterbox(pixels.astype(np.float32), True, np.zeros((3, 8, 8), np.float32))
