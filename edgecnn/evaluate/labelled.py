"""Pictures of known class in the forms that sets of them come in.

- A folder with a folder of pictures for each class, named as the class or its number.
- A ``.csv`` file with rows ``file,label``, a header or none, or a ``.txt`` file with lines ``file label``; files lie
  beside it, labels are names or numbers.
- MNIST's idx files: a file of pictures, or the folder with it, and the labels beside it; packed by gzip or not.
- CIFAR's ``.bin``: rows of a label (CIFAR-100: a coarse and a fine one) and 3x32x32 pixels.

What cannot be meant (a class that the model does not know, a picture that is not there) is a `Problem`; the rest is
read.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Optional

import numpy as np

from edgecnn.errors import InputError
from edgecnn.evaluate.annotations import MOST_BYTES, PICTURES, Problem, is_file
from edgecnn.images import Picture, open_picture

CIFAR_PIXELS = 3 * 32 * 32
CIFAR_LABELS = {10: 1, 100: 2}  # classes of the set: bytes of labels before the pixels of a row
PIECE = 1 << 20  # bytes read at once
IDX_PICTURES, IDX_LABELS = 0x0803, 0x0801  # bytes in three dimensions, and in one


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and its class. ``pixels`` is None where ``name`` is a file; else uint8 (H, W) or (H, W, 3) RGB."""

    name: str
    class_id: int
    pixels: Optional[np.ndarray] = None

    def open(self) -> Picture:
        """The picture; InputError where it cannot be read."""
        if self.pixels is None:
            return open_picture(Path(self.name))
        return Picture(np.ascontiguousarray(self.pixels), "rgb", self.name)


@dataclass
class LabelledSet:
    """What `read_labelled` finds."""

    form: str  # "folders", "list", "idx" or "CIFAR"
    pictures: list[LabelledPicture] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def labelled_form(source: str | os.PathLike[str]) -> str:
    """The form of a set of labelled pictures, see `LabelledSet`; "" where it is none."""
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() in (".csv", ".txt"):
            return "list"
        return "CIFAR" if path.suffix.lower() == ".bin" else "idx" if _is_idx(path) else ""
    if any((path / name).is_dir() for name in ("Annotations", "labels")):
        return ""
    files = [p for p in path.iterdir() if p.is_file()]
    if any(p.suffix.lower() in (".json", ".xml") for p in files):
        return ""
    if any(_is_idx(p) for p in files):
        return "idx"
    if any(p.suffix.lower() == ".bin" for p in files):
        return "CIFAR"
    return "folders" if any(p.is_dir() for p in path.iterdir()) else ""


def read_labelled(
    source: str | os.PathLike[str], names: Sequence[str], images: str | os.PathLike[str] | None = None
) -> LabelledSet:
    """Reads a set of labelled pictures.

    Parameters
    ----------
    source
        Folder or file, see above.
    names
        The model's classes. Labels are their names or their numbers; those of idx and CIFAR files are numbers.
    images
        Folder of the pictures that a list names, where they do not lie beside it.

    Raises
    ------
    InputError
        The set is damaged, or nothing in it can be used.
    """
    path = Path(source)
    form = labelled_form(path)
    if form == "folders":
        found = _read_folders(path, names)
    elif form == "list":
        found = _read_list(path, Path(images) if images is not None else path.parent, names)
    elif form == "idx":
        found = _read_idx(path if path.is_file() else _only(path, _is_idx), names)
    elif form == "CIFAR":
        found = _read_cifar(path if path.is_file() else _only(path, lambda p: p.suffix.lower() == ".bin"), names)
    else:
        raise InputError(f"{path}: no folder for each class, .csv or .txt list, idx or CIFAR file")
    if not found.pictures:
        first = f"; first problem: {found.problems[0]}" if found.problems else ""
        raise InputError(f"{path}: no picture of a class that the model has{first}")
    return found


def _only(folder: Path, wanted: Callable[[Path], bool]) -> Path:
    """The file of its kind in a folder; of several, one must be named."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and wanted(p))
    if len(files) > 1:
        raise InputError(f"{folder}: name one of {', '.join(p.name for p in files)}")
    return files[0]


class _Reader:
    """Collects pictures and problems."""

    def __init__(self, form: str, names: Sequence[str]) -> None:
        self.found = LabelledSet(form)
        self.names = names
        self.numbers = {name.strip().lower(): i for i, name in enumerate(names)}

    def class_id(self, label: str) -> Optional[int]:
        key = label.strip().lower()
        if key in self.numbers:
            return self.numbers[key]
        return int(key) if key.isdecimal() and len(key) < 10 and int(key) < len(self.names) else None

    def problem(self, file: Path, line: int, message: str, kind: str = "row") -> None:
        self.found.problems.append(Problem(file, line, message, kind))

    def unknown(self, file: Path, line: int, label: str) -> None:
        self.problem(file, line, f"the model has no class {label.strip()!r}", "class")

    def numbered(self, file: Path, labels: np.ndarray, pictures: Iterable[np.ndarray]) -> None:
        """Pictures whose classes are numbers."""
        for i, (label, pixels) in enumerate(zip(labels.tolist(), pictures)):
            if label < len(self.names):
                self.found.pictures.append(LabelledPicture(f"{file}#{i}", label, pixels))
            else:
                self.problem(
                    file, 0, f"picture {i}: the model has no class {label} (it has {len(self.names)})", "class"
                )


def _read_folders(folder: Path, names: Sequence[str]) -> LabelledSet:
    reader = _Reader("folders", names)
    for sub in sorted(p for p in folder.iterdir() if p.is_dir()):
        number = reader.class_id(sub.name)
        if number is None:
            reader.unknown(sub, 0, sub.name)
            continue
        files = sorted(p for p in sub.iterdir() if p.suffix.lower() in PICTURES)
        reader.found.pictures += [LabelledPicture(str(p), number) for p in files]
    return reader.found


def _read_list(file: Path, folder: Path, names: Sequence[str]) -> LabelledSet:
    reader = _Reader("list", names)
    with open(file, newline="", encoding="utf-8-sig", errors="replace") as lines:
        if file.suffix.lower() == ".txt":
            for line, text in enumerate(lines, 1):
                if text.strip():
                    _read_row(reader, file, line, text.strip().rsplit(maxsplit=1), folder)
            return reader.found
        rows = csv.reader(lines)
        try:
            for row in rows:
                if row:
                    _read_row(reader, file, rows.line_num, row, folder)
        except csv.Error as error:
            reader.problem(file, rows.line_num, f"no CSV that can be read: {error}")
    return reader.found


def _read_row(reader: _Reader, file: Path, line: int, row: Sequence[str], folder: Path) -> None:
    if len(row) < 2:
        reader.problem(file, line, f"no file and label: {','.join(row)[:60]!r}")
        return
    path, number = folder / row[0].strip(), reader.class_id(row[1])
    there = "\0" not in row[0] and is_file(path)
    if line == 1 and number is None and not there:
        return  # the header
    if number is None:
        reader.unknown(file, line, row[1])
    elif not there:
        reader.problem(file, line, f"its picture {path} is not there", "picture")
    else:
        reader.found.pictures.append(LabelledPicture(str(path), number))


def _is_idx(path: Path) -> bool:
    """Whether a file holds pictures as MNIST has them."""
    if "idx" not in path.name:
        return False
    try:
        with _open(path) as file:
            return int.from_bytes(file.read(4), "big") == IDX_PICTURES
    except (OSError, EOFError, zlib.error):
        return False


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")


def _read_array(path: Path, magic: int) -> np.ndarray:
    """The bytes of an idx file in their shape."""
    try:
        with _open(path) as file:
            if int.from_bytes(file.read(4), "big") != magic:
                raise InputError(f"{path}: no idx file of {'pictures' if magic == IDX_PICTURES else 'labels'}")
            shape = [int.from_bytes(file.read(4), "big") for _ in range(magic & 0xFF)]
            size = int(np.prod(shape, dtype=object))
            if not 0 < size <= MOST_BYTES:
                raise InputError(f"{path}: {'x'.join(map(str, shape))} bytes are not a set that edgecnn reads")
            data = _read_bytes(file, size)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if len(data) < size:
        raise InputError(f"{path}: truncated: {len(data)} bytes of {size}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_bytes(file: BinaryIO | gzip.GzipFile, size: int) -> bytes:
    """At most *size* bytes, in memory that has to do with what is there: the header says what it likes."""
    data = bytearray()
    while len(data) < size:
        piece = file.read(min(size - len(data), PIECE))
        if not piece:
            break
        data += piece
    return bytes(data)


def _read_idx(file: Path, names: Sequence[str]) -> LabelledSet:
    name = file.name.replace("images", "labels").replace("idx3", "idx1")
    stem = name[:-3] if name.endswith(".gz") else name
    beside = [file.with_name(n) for n in (stem, f"{stem}.gz") if n != file.name and file.with_name(n).is_file()]
    if not beside:
        raise InputError(f"{file}: its labels {file.with_name(stem)} are not there")
    pictures, labels = _read_array(file, IDX_PICTURES), _read_array(beside[0], IDX_LABELS)
    if len(pictures) != len(labels):
        raise InputError(f"{file}: {len(pictures)} pictures, but {len(labels)} labels in {beside[0].name}")
    reader = _Reader("idx", names)
    reader.numbered(file, labels, pictures)
    return reader.found


def _read_cifar(file: Path, names: Sequence[str]) -> LabelledSet:
    classes = len(names)
    before = CIFAR_LABELS.get(classes)
    if before is None:
        raise InputError(f"{file}: CIFAR has 10 or 100 classes, the model has {classes}")
    size = file.stat().st_size
    if size == 0 or size > MOST_BYTES or size % (before + CIFAR_PIXELS):
        raise InputError(f"{file}: {size} bytes are not rows of {before + CIFAR_PIXELS}, as CIFAR-{classes} has them")
    rows = np.fromfile(file, np.uint8).reshape(-1, before + CIFAR_PIXELS)
    reader = _Reader("CIFAR", names)
    pixels = rows[:, before:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    reader.numbered(file, rows[:, before - 1], pixels)
    return reader.found
