"""Reading pictures: every way in gives the same pixels, and what is no picture is refused with a clear message."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import EdgeCNNError, InputError, MissingDependency
from edgecnn.images import MAX_PIXELS, find_all_images, find_images, open_picture, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)  # BGR


@pytest.fixture
def pil():  # type: ignore[no-untyped-def]
    return pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif"])
def test_lossless_files(tmp_path: Path, pil, suffix: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"picture{suffix}"
    pil.fromarray(PIXELS[:, :, ::-1]).save(path)
    for source in (path, str(path)):
        np.testing.assert_array_equal(read_image(source), PIXELS)
    assert open_picture(path).name == str(path)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16"])
def test_pil_modes(tmp_path: Path, pil, mode: str) -> None:  # type: ignore[no-untyped-def]
    if mode == "I;16":
        image = pil.fromarray((PIXELS[:, :, 0].astype(np.uint16) << 8) + 7)
        expected = np.repeat(PIXELS[:, :, :1], 3, axis=2)
    else:
        image = pil.fromarray(PIXELS[:, :, ::-1]).convert(mode)
        expected = np.asarray(image.convert("RGB"))[:, :, ::-1]
    np.testing.assert_array_equal(read_image(image), expected)
    if mode in ("L", "P", "RGBA", "LA", "I;16"):
        path = tmp_path / "picture.png"
        image.save(path)
        np.testing.assert_array_equal(read_image(path), expected)


def test_arrays() -> None:
    assert np.shares_memory(open_picture(PIXELS).pixels, PIXELS)
    np.testing.assert_array_equal(read_image(PIXELS), PIXELS)
    np.testing.assert_array_equal(read_image(PIXELS[:, :, 0]), np.repeat(PIXELS[:, :, :1], 3, axis=2))
    np.testing.assert_array_equal(read_image(np.dstack([PIXELS, PIXELS[:, :, :1]])), PIXELS)
    np.testing.assert_array_equal(read_image(open_picture(PIXELS)), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, pil, orientation: int) -> None:  # type: ignore[no-untyped-def]
    turned = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, 1),
        7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PIXELS, -1),
    }[orientation]  # what the camera stored, so that the viewer sees PIXELS
    exif = pil.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    pil.fromarray(np.ascontiguousarray(turned[:, :, ::-1])).save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path), PIXELS)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
    ],
)
def test_arrays_that_are_no_pictures(pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="is not a picture"):
        read_image(pixels)


@pytest.mark.parametrize("source", [None, 3.5, [1, 2], b"abc"])
def test_things_that_are_no_pictures(source: object) -> None:
    with pytest.raises(InputError, match="a picture is"):
        read_image(source)  # type: ignore[arg-type]


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)
    with pytest.raises(InputError):
        read_image("a\0b.jpg")


def test_text_renamed_to_jpg(tmp_path: Path, pil) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "text.jpg"
    for content in (b"", b"x", b"this is no picture\n" * 50):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"text\.jpg"):
            read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm", ".tif", ".gif", ".webp"])
def test_truncated_and_damaged_files(tmp_path: Path, pil, suffix: str) -> None:  # type: ignore[no-untyped-def]
    """A shortened file is refused; a file with flipped bits is read or refused, and nothing else."""
    whole = tmp_path / f"whole{suffix}"
    pil.fromarray(np.tile(PIXELS, (4, 4, 1))).save(whole)
    content = whole.read_bytes()
    path = tmp_path / f"damaged{suffix}"
    for share in (0.01, 0.3, 0.7):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match="damaged"):
            read_image(path)
    rng = np.random.default_rng(1)
    for _ in range(40):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(0, min(len(damaged), 200), 3)] ^= rng.integers(1, 256, 3, dtype=np.uint8)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(EdgeCNNError):
            assert read_image(path).dtype == np.uint8


def test_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, pil) -> None:  # type: ignore[no-untyped-def]
    side = int(MAX_PIXELS**0.5) + 1
    path = tmp_path / "bomb.png"
    pil.new("1", (side, side)).save(path)
    with pytest.raises(InputError, match=f"more than {MAX_PIXELS}"):
        read_image(path)
    header = io.BytesIO()
    pil.new("L", (1, 1)).save(header, "BMP")
    content = bytearray(header.getvalue())
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    path = tmp_path / "bomb.bmp"
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"bomb\.bmp"):
        read_image(path)


@pytest.mark.parametrize(
    "content",
    [
        b"P6",
        b"P6\n4 4\n",
        b"P6\n4 4\n255\nabc",
        b"P6\n-4 4\n255\n" + bytes(48),
        b"P6\n0 4\n255\n",
        b"P6\n4 4\n65535\n" + bytes(96),
        b"P6\n999999999 999999999\n255\n",
        b"P5 x",
    ],
)
def test_damaged_pnm(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.ppm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"picture\.ppm"):
        read_image(path)


def test_pnm_needs_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("PIL", "cv2"):
        monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / "picture.ppm"
    path.write_bytes(b"P6 # a comment\n# another\n17 12\n255\n" + PIXELS[:, :, ::-1].tobytes())
    np.testing.assert_array_equal(read_image(path), PIXELS)
    path.write_bytes(b"P5 17 12 255\n" + PIXELS[:, :, 0].tobytes())
    np.testing.assert_array_equal(read_image(path)[:, :, 1], PIXELS[:, :, 0])


def test_opencv_serves_where_pillow_is_absent(tmp_path: Path, pil, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("cv2")
    path = tmp_path / "picture.png"
    pil.fromarray(PIXELS[:, :, ::-1]).save(path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    np.testing.assert_array_equal(read_image(path), PIXELS)
    path.write_text("no picture")
    with pytest.raises(InputError, match=r"picture\.png"):
        read_image(path)


def test_without_pillow_and_opencv_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("PIL", "cv2"):
        monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG")
    with pytest.raises(MissingDependency, match=r"edgecnn\[vision\]"):
        read_image(path)


def test_find_images(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in find_images(tmp_path)] == ["a.PNG", "b.jpg"]
    assert find_images(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    assert [p.name for p in find_images(str(tmp_path / "*.jpg"))] == ["b.jpg"]
    assert [p.name for p in find_all_images([tmp_path / "b.jpg", tmp_path])] == ["b.jpg", "a.PNG", "b.jpg"]
    empty = tmp_path / "empty"
    empty.mkdir()
    for bad in (empty, tmp_path / "absent.jpg", str(tmp_path / "*.gif")):
        with pytest.raises(InputError):
            find_images(bad)
