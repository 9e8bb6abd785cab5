"""Reading pictures: files, arrays and PIL images become uint8 pixels.

Pillow reads files where it is installed, OpenCV where only that is; PPM and PGM files need neither.
"""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from edgecnn.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from PIL import Image

    ImageSource = Union[str, "os.PathLike[str]", np.ndarray, Image.Image, "Picture"]

MAX_PIXELS = 89_000_000  # of a file (270 MB decoded): above it Pillow too suspects a decompression bomb
MAX_SIDE = 1 << 20
_PNM_HEADER = re.compile(rb"P[56]" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pnm")


@dataclass(frozen=True)
class Picture:
    """Pixels of a picture.

    Attributes
    ----------
    pixels : ndarray
        uint8, (H, W) grey, or (H, W, C) with 1, 3 or 4 channels.
    order : str
        "bgr" or "rgb": order of the channels where there are several; a fourth is alpha.
    name : str
        Path of the file, or "".
    """

    pixels: np.ndarray
    order: str = "bgr"
    name: str = ""

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    def bgr(self) -> np.ndarray:
        """The pixels as contiguous (H, W, 3) blue, green, red; not a copy where they are that already."""
        pixels = self.pixels if self.pixels.ndim == 3 else self.pixels[:, :, None]
        if pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        pixels = pixels[:, :, :3] if self.order == "bgr" else pixels[:, :, 2::-1]
        return np.ascontiguousarray(pixels)


def read_image(source: ImageSource) -> np.ndarray:
    """A picture as uint8 (H, W, 3) in blue, green, red order.

    Parameters
    ----------
    source
        Path of a file (its EXIF orientation is obeyed), an array (see `open_picture`) or a PIL image.

    Raises
    ------
    InputError
        The file is missing, damaged, too large or not a picture; the array is not one of pixels.
    MissingDependency
        Reading such a file needs Pillow or OpenCV.
    """
    return open_picture(source).bgr()


def open_picture(source: ImageSource) -> Picture:
    """A picture as `Picture`, without a copy where that is possible.

    Arrays are uint8: (H, W) or (H, W, 1) grey, (H, W, 3) BGR or (H, W, 4) BGRA, as OpenCV has them. Raises what
    `read_image` raises.
    """
    if isinstance(source, Picture):
        return Picture(_check_pixels(source.pixels), source.order, source.name)
    if isinstance(source, np.ndarray):
        return Picture(_check_pixels(source))
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source))
    if type(source).__module__.partition(".")[0] == "PIL":
        return _from_pil(source)
    raise InputError(f"a picture is a path, a uint8 array or a PIL image, not {type(source).__name__}")


def find_images(source: str | os.PathLike[str]) -> list[Path]:
    """The picture files that a path means: itself, those of a folder, or those a glob pattern matches; sorted.

    Raises
    ------
    InputError
        There is no such file, or no picture in the folder.
    """
    path = Path(source)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise InputError(f"{path}: no picture in this folder (looked for {', '.join(SUFFIXES)})")
        return found
    if path.exists():
        return [path]
    if glob.has_magic(str(source)):
        found = sorted(Path(p) for p in glob.glob(str(source), recursive=True) if os.path.isfile(p))
        if found:
            return found
        raise InputError(f"{source}: the pattern matches no file")
    raise InputError(f"{path}: no such file")


def find_all_images(sources: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """`find_images` of each of several paths, in the order given."""
    return [path for source in sources for path in find_images(source)]


def _check_pixels(pixels: np.ndarray) -> np.ndarray:
    what = f"an array of shape {pixels.shape} and dtype {pixels.dtype} is not a picture"
    if pixels.dtype != np.uint8:
        raise InputError(f"{what}: pixels are uint8, 0 to 255")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))):
        raise InputError(f"{what}: it should be HxW grey, HxWx3 BGR or HxWx4 BGRA")
    if pixels.shape[0] == 0 or pixels.shape[1] == 0:
        raise InputError(f"{what}: it is empty")
    if max(pixels.shape[:2]) > MAX_SIDE:
        raise InputError(f"{what}: its sides should be at most {MAX_SIDE} pixels")
    return pixels


def _read_file(path: Path) -> Picture:
    try:
        with open(path, "rb") as file:
            start = file.read(2)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if start in (b"P5", b"P6"):
        return _read_pnm(path)
    try:
        from PIL import Image
    except ImportError:
        return _read_with_opencv(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about odd but readable files; what cannot be read is an error
        try:
            image = Image.open(path)
        except Exception as error:  # a hostile file can make Pillow raise almost anything
            raise InputError(f"{path}: not a picture that can be read ({error})") from error
        with image:
            return _from_pil(image, str(path))


def _from_pil(image: Image.Image, name: str = "") -> Picture:
    from PIL import ImageOps

    what = f"{name or 'PIL image'}: "
    width, height = image.size
    if width == 0 or height == 0:
        raise InputError(f"{what}the picture is empty ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise InputError(f"{what}{width}x{height} pixels are more than {MAX_PIXELS}")
    try:
        image.load()
        if image.getexif().get(0x0112, 1) != 1:  # orientation
            image = ImageOps.exif_transpose(image) or image
        if image.mode.startswith("I"):  # 16 bits per pixel
            deep = np.clip(np.asarray(image.convert("I"), np.int32), 0, 65535)
            return Picture((deep >> 8).astype(np.uint8), "rgb", name)
        mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except Exception as error:  # as above: truncated and hostile files
        raise InputError(f"{what}damaged or truncated picture ({error})") from error
    return Picture(_check_pixels(pixels), "rgb", name)


def _read_with_opencv(path: Path) -> Picture:
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # read when cv2 is first imported
    try:
        import cv2
    except ImportError:
        raise MissingDependency.for_extra("Pillow", "vision", f"reading {path}") from None
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, OSError) as error:
        raise InputError(f"{path}: not a picture that can be read ({error})") from error
    if pixels is None:
        raise InputError(f"{path}: not a picture that can be read")
    return Picture(_check_pixels(pixels), "bgr", str(path))


def _read_pnm(path: Path) -> Picture:
    """Binary PGM (P5) and PPM (P6) of 8 bits."""
    content = path.read_bytes()
    header = _PNM_HEADER.match(content)
    if header is None:
        raise InputError(f"{path}: damaged header of a PNM picture")
    width, height, maximum = (int(number) for number in header.groups())
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise InputError(f"{path}: {width}x{height} is not a size of a picture that edgecnn reads")
    if maximum != 255:
        raise InputError(f"{path}: PNM pictures with 255 as the largest value are read, this has {maximum}")
    channels = 1 if content[:2] == b"P5" else 3
    size = width * height * channels
    if len(content) - header.end() < size:
        raise InputError(f"{path}: truncated picture ({len(content) - header.end()} bytes of {size})")
    pixels = np.frombuffer(content, np.uint8, size, header.end()).reshape(height, width, channels)
    return Picture(pixels, "rgb", str(path))
