"""Annotated pictures in the three forms that sets of them come in.

- PASCAL VOC: a folder with ``Annotations/*.xml`` and ``JPEGImages``; ``difficult`` boxes count neither way.
- COCO: a ``.json`` file with images, annotations and categories, or a folder that holds one such file; the pictures
  lie beside it, or in a folder beside it.
- YOLO: a folder with ``images`` and ``labels/*.txt``, each line ``class cx cy w h`` as parts of the picture's size.

A row that cannot be meant (a box that is empty, reversed, not finite or outside of its picture, a class that the model
does not know, a picture that is not there) is a `Problem` with file and line; the rest is read.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional
from xml.parsers import expat

from edgecnn.errors import InputError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
PICTURE_FOLDERS = ("JPEGImages", "images", "val2017", "val2014")
# Annotation files of more bytes are refused. A COCO set of 5,000 pictures has 20 MB; VOC has a file for each picture.
MOST_BYTES, MOST_BYTES_OF_XML = 1 << 30, 4 << 20
# What COCO calls otherwise than VOC; Darknet's list of COCO's classes has VOC's names.
OTHER_NAMES = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "potted plant": "pottedplant",
    "dining table": "diningtable",
    "tv": "tvmonitor",
}


@dataclass(frozen=True)
class TrueBox:
    """A box that someone drew.

    Attributes
    ----------
    class_id : int
        Number of the model's class.
    xyxy : tuple of 4 floats
        Left, top, right, bottom, in pixels of the picture.
    ignored : bool
        Counts neither way: "difficult" in VOC, "ignore" in COCO.
    crowd : bool
        Stands for many objects (COCO's ``iscrowd``): any number of detections inside it count neither way.
    area : float
        In pixels, as the set states it (COCO measures the outline), else of the box.
    """

    class_id: int
    xyxy: tuple[float, float, float, float]
    ignored: bool = False
    crowd: bool = False
    area: float = 0.0


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture's file and its true boxes."""

    path: Path
    boxes: tuple[TrueBox, ...]


@dataclass(frozen=True)
class Problem:
    """What of a set cannot be meant.

    Attributes
    ----------
    file : Path
    line : int
        From 1; 0 is the whole file.
    message : str
    kind : str
        "box", "class" (unknown to the model), "picture" (not there, or not to be read), "row" (anything else) or
        "note": that counts as the message says, all others are skipped.
    """

    file: Path
    line: int
    message: str
    kind: str = "row"

    @classmethod
    def of_picture(cls, path: str | os.PathLike[str], error: Exception) -> Problem:
        """A picture that cannot be read."""
        message = str(error)
        return cls(Path(path), 0, message.removeprefix(f"{path}: "), "picture")

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass
class AnnotatedSet:
    """What `read_annotations` finds."""

    form: str  # "VOC", "COCO" or "YOLO"
    pictures: list[AnnotatedPicture] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_annotations(
    source: str | os.PathLike[str], names: Sequence[str], images: str | os.PathLike[str] | None = None
) -> AnnotatedSet:
    """Reads a set of annotated pictures.

    Parameters
    ----------
    source
        Folder or ``.json`` file, see above.
    names
        The model's classes; those of VOC and COCO are matched by name, those of YOLO are numbers.
    images
        Folder of the pictures, where they do not lie at the usual place.

    Raises
    ------
    InputError
        There is no such set, it has none of the three forms, or nothing in it can be read.
    """
    path = Path(source)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    pictures = Path(images) if images is not None else None
    if pictures is not None and not pictures.is_dir():
        raise InputError(f"{pictures}: no such folder of pictures")
    xml = path / "Annotations" if (path / "Annotations").is_dir() else path
    if path.is_dir() and any(xml.glob("*.xml")):
        found = _read_voc(sorted(xml.glob("*.xml")), pictures or _folder_of(path), names)
    elif path.is_dir() and any((path / "labels").glob("*.txt")):
        found = _read_yolo(path / "labels", pictures or path / "images", len(names))
    else:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if len(files) != 1 or files[0].suffix.lower() != ".json":
            raise InputError(
                f"{path}: no annotations found: expected Annotations/*.xml (VOC), labels/*.txt beside images (YOLO), "
                "or one .json (COCO)"
            )
        found = _read_coco(files[0], pictures, names)
    if not found.pictures:
        first = f"; first problem: {found.problems[0]}" if found.problems else ""
        raise InputError(f"{path}: no annotated picture could be read{first}")
    return found


def _folder_of(path: Path) -> Path:
    return next((path / name for name in PICTURE_FOLDERS if (path / name).is_dir()), path)


class _Reader:
    """Collects pictures and problems, and judges boxes."""

    def __init__(self, form: str, names: Sequence[str]) -> None:
        self.found = AnnotatedSet(form)
        self.numbers = {name.strip().lower(): i for i, name in enumerate(names)}
        for one, other in (*OTHER_NAMES.items(), *((b, a) for a, b in OTHER_NAMES.items())):
            if one not in self.numbers and other in self.numbers:
                self.numbers[one] = self.numbers[other]

    def problem(self, file: Path, line: int, message: str, kind: str = "row") -> None:
        self.found.problems.append(Problem(file, line, message, kind))

    def picture(self, file: Path, line: int, path: Path, boxes: list[TrueBox]) -> None:
        if is_file(path):
            self.found.pictures.append(AnnotatedPicture(path, tuple(boxes)))
        else:
            self.problem(file, line, f"its picture {path} is not there", "picture")

    def class_id(self, file: Path, line: int, name: str) -> Optional[int]:
        number = self.numbers.get(name.strip().lower())
        if number is None:
            self.problem(file, line, f"the model has no class {name.strip()!r}", "class")
        return number

    def box(
        self, file: Path, line: int, xyxy: Sequence[float], size: tuple[float, float] | None
    ) -> Optional[tuple[float, float, float, float]]:
        """The box, or None and a problem. One pixel outside is allowed: VOC counts pixels from 1."""
        x1, y1, x2, y2 = (float(v) for v in xyxy)
        corners = f"{x1:g} {y1:g} {x2:g} {y2:g}"
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            wrong = "a box with a coordinate that is no finite number"
        elif x2 < x1 or y2 < y1:
            wrong = f"a reversed box: {corners}"
        elif x2 == x1 or y2 == y1:
            wrong = f"an empty box: {corners}"
        elif size and (x1 < -1 or y1 < -1 or x2 > size[0] + 1 or y2 > size[1] + 1):
            wrong = f"a box outside of its picture of {size[0]:g}x{size[1]:g}: {corners}"
        else:
            return x1, y1, x2, y2
        self.problem(file, line, wrong, "box")
        return None


# -- VOC --------------------------------------------------------------------------------------------------------------


class _Element:
    """An XML element with its line: name, text before its children, children."""

    __slots__ = ("children", "line", "name", "text")

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line, self.text = name, line, ""
        self.children: list[_Element] = []

    def find(self, name: str) -> Optional[_Element]:
        return next((child for child in self.children if child.name == name), None)

    def number(self, name: str) -> float:
        child = self.find(name)
        try:
            return float(child.text) if child else math.nan
        except ValueError:
            return math.nan


def _parse_xml(data: bytes) -> _Element:
    """The root. Entities are not expanded, so that a small file stays small."""
    if len(data) > MOST_BYTES_OF_XML:
        raise ValueError(f"more than {MOST_BYTES_OF_XML >> 20} MiB")
    root = _Element("", 0)
    stack = [root]
    parser = expat.ParserCreate()
    parser.buffer_text = True  # else a call for each line

    def start(name: str, _: Any) -> None:
        if len(stack) > 100:
            raise ValueError("elements nested more than 100 deep")
        element = _Element(name, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def text(data: str) -> None:
        if not stack[-1].children:  # what stands between many of them would be joined in time square to their number
            stack[-1].text += data

    def entity(*_: Any) -> None:
        raise ValueError("it declares entities")

    parser.StartElementHandler, parser.EndElementHandler = start, lambda _: stack.pop()
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    parser.Parse(data, True)
    return root.children[0]


def _read_voc(files: Sequence[Path], pictures: Path, names: Sequence[str]) -> AnnotatedSet:
    reader = _Reader("VOC", names)
    for file in files:
        try:
            root = _parse_xml(file.read_bytes())
        except (expat.ExpatError, ValueError, IndexError) as error:
            reader.problem(file, getattr(error, "lineno", 0), f"no XML that can be read: {error}")
            continue
        size = root.find("size")
        extent = (size.number("width"), size.number("height")) if size else None
        boxes = []
        for item in root.children:
            if item.name != "object":
                continue
            name, corners, difficult = item.find("name"), item.find("bndbox"), item.find("difficult")
            if name is None or corners is None:
                reader.problem(file, item.line, "an object without a name or a bndbox")
                continue
            number = reader.class_id(file, name.line, name.text)
            xyxy = [corners.number(key) for key in ("xmin", "ymin", "xmax", "ymax")]
            box = reader.box(file, corners.line, xyxy, extent if extent and min(extent) > 0 else None)
            if number is not None and box is not None:
                ignored = difficult is not None and difficult.text.strip() == "1"
                boxes.append(TrueBox(number, box, ignored, area=_area(box)))
        given = root.find("filename")
        stem = Path(given.text.strip()).name if given and given.text.strip() else file.stem
        reader.picture(file, 0, _picture_file(pictures, stem, file.stem), boxes)
    annotated = {file.stem for file in files} | {one.path.stem for one in reader.found.pictures}
    for path in sorted(p for p in pictures.iterdir() if p.suffix.lower() in PICTURES) if pictures.is_dir() else ():
        if path.stem not in annotated:
            reader.problem(path, 0, "without annotations", "picture")
    return reader.found


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _picture_file(folder: Path, name: str, stem: str) -> Path:
    """The picture of that name, or of that stem with any suffix."""
    if is_file(folder / name):
        return folder / name
    return next((p for suffix in PICTURES if is_file(p := folder / (stem + suffix))), folder / name)


def is_file(path: Path) -> bool:
    """Whether there is a file of that name, which may be any text of an annotation."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


# -- YOLO -------------------------------------------------------------------------------------------------------------


def _read_yolo(labels: Path, pictures: Path, classes: int) -> AnnotatedSet:
    from edgecnn.images import open_picture

    reader = _Reader("YOLO", ())
    if not pictures.is_dir():
        raise InputError(f"{pictures}: no such folder of pictures")
    for path in sorted(p for p in pictures.iterdir() if p.suffix.lower() in PICTURES):
        file = labels / f"{path.stem}.txt"
        if not file.exists():  # a picture of nothing may have no file
            reader.problem(
                path, 0, f"without annotations ({file} is not there): counts as a picture of nothing", "note"
            )
            reader.picture(file, 0, path, [])
            continue
        try:
            picture = open_picture(path)
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except InputError as error:
            reader.found.problems.append(Problem.of_picture(path, error))
            continue
        width, height = picture.width, picture.height
        boxes = []
        for line, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                number, cx, cy, w, h = (float(v) for v in text.split())
            except ValueError:
                reader.problem(file, line, f"not `class cx cy w h`: {text.strip()[:60]!r}")
                continue
            if not number.is_integer() or not 0 <= number < classes:
                reader.problem(file, line, f"the model has no class {number:g} (it has {classes})", "class")
                continue
            corners = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
            box = reader.box(file, line, corners, (width, height))
            if box is not None:
                boxes.append(TrueBox(int(number), box, area=_area(box)))
        reader.picture(file, 0, path, boxes)
    for file in sorted(labels.glob("*.txt")):
        if not any((pictures / (file.stem + suffix)).exists() for suffix in PICTURES):
            reader.problem(file, 0, f"its picture {pictures / file.stem}.* is not there", "picture")
    return reader.found


# -- COCO -------------------------------------------------------------------------------------------------------------


def _read_coco(file: Path, pictures: Optional[Path], names: Sequence[str]) -> AnnotatedSet:
    if file.stat().st_size > MOST_BYTES:
        raise InputError(f"{file}: annotations of more than {MOST_BYTES >> 20} MiB")
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        rows = json.loads(text)
        images = {row["id"]: row for row in rows["images"]}
        categories = {row["id"]: str(row["name"]).strip() for row in rows["categories"]}
        annotations = list(rows["annotations"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{file}: no COCO annotations (images, annotations, categories): {error!r}") from None
    reader = _Reader("COCO", names)
    # Whatever many annotations may point to is looked at once: a set is read in time that has to do with its size.
    numbers = {name: reader.numbers.get(name.lower()) for name in categories.values()}
    folder = pictures or _folder_of(file.parent)
    boxes: dict[Any, list[TrueBox]] = {key: [] for key in images}
    unknown: dict[str, int] = {}
    lines = _Lines(text)
    for index, row in enumerate(annotations):
        try:
            image, name = images[row["image_id"]], categories[row["category_id"]]
            x, y, w, h = (_number(v) for v in row["bbox"])
            size = (_number(image["width"]), _number(image["height"])) if "width" in image else None
            crowd, ignored = bool(row.get("iscrowd", 0)), bool(row.get("ignore", 0))
            area = _number(row.get("area", w * h))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            message = f"annotation {index}: incomplete or of an unknown picture or category: {error!r}"
            reader.problem(file, lines.of(index), message)
            continue
        number = numbers[name]
        if number is None:
            unknown[name] = unknown.get(name, 0) + 1
            continue
        corners = (x, y, x + w, y + h)
        box = reader.box(file, 0, corners, size)
        if box is None:
            message = reader.found.problems.pop().message
            reader.problem(file, lines.of(index), f"annotation {index}: {message}", "box")
            continue
        if not math.isfinite(area):
            reader.problem(file, lines.of(index), f"annotation {index}: its area is no finite number", "box")
            continue
        boxes[row["image_id"]].append(TrueBox(number, box, ignored, crowd, area))
    for name in sorted(unknown):
        reader.problem(file, 0, f"the model has no class {name!r} ({unknown[name]} boxes)", "class")
    for key, image in images.items():
        name = Path(str(image.get("file_name", key))).name
        reader.picture(file, 0, folder / name, boxes[key])
    return reader.found


def _number(value: Any) -> float:
    if isinstance(value, str) and len(value) > 100:
        raise ValueError("no number")
    return float(value)


class _Lines:
    """On which line of a JSON text each element of "annotations" begins; looked for when first asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: Optional[list[int]] = None

    def of(self, index: int) -> int:
        if self.lines is None:
            self.lines = self._find()
        return self.lines[index] if index < len(self.lines) else 0

    def _find(self) -> list[int]:
        lines: list[int] = []
        opening = re.search(r'"annotations"\s*:\s*\[\s*', self.text)
        at = opening.end() if opening else len(self.text)
        line, counted = 1, 0
        decoder, comma = json.JSONDecoder(), re.compile(r"\s*,\s*")
        while at < len(self.text) and self.text[at] != "]":
            line, counted = line + self.text.count("\n", counted, at), at
            lines.append(line)
            try:
                _, end = decoder.raw_decode(self.text, at)
            except ValueError:  # the name stood inside of a text
                return []
            following = comma.match(self.text, end)
            at = following.end() if following else len(self.text)
        return lines
