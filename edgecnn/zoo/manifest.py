"""What the zoo holds: ``manifest.json`` as dataclasses."""

from __future__ import annotations

import difflib
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.graph.metadata import Preprocess
from edgecnn.zoo.labels import KNOWN

FOLDER = Path(__file__).resolve().parent
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class FileEntry:
    """One file of a model. Shipped ones have no URL, size and checksum."""

    name: str
    url: str = ""
    size: int = 0  # bytes
    sha256: str = ""

    def __post_init__(self) -> None:
        if not _FILE_NAME.fullmatch(self.name):
            raise ModelError(f"zoo manifest: {self.name!r} is not a plain file name")


@dataclass(frozen=True)
class ModelEntry:
    """One model. The first of ``files`` is the model, a second one its weights."""

    name: str
    task: str  # "detect" or "classify"
    description: str
    input: tuple[int, int]  # width, height
    labels: tuple[str, ...]
    preprocess: Preprocess
    licence: str
    files: tuple[FileEntry, ...]
    shipped: bool = False

    @property
    def size(self) -> int:
        """Bytes to fetch; 0 for a shipped model."""
        return sum(file.size for file in self.files)


@functools.lru_cache(maxsize=1)
def list_models() -> tuple[ModelEntry, ...]:
    """All models, shipped ones first."""
    rows = json.loads((FOLDER / "manifest.json").read_text("utf-8"))["models"]
    return tuple(_entry(row) for row in rows)


def find(name: str) -> ModelEntry:
    """The model of that name; ModelError with the closest names otherwise."""
    models = {entry.name: entry for entry in list_models()}
    if name in models:
        return models[name]
    from edgecnn.classical import CLASSICAL
    from edgecnn.networks import NETWORKS

    if name in CLASSICAL:
        raise ModelError(f"{name!r} is a detector without a network: edgecnn.Detector and edgecnn detect take it")
    close = difflib.get_close_matches(name, [*models, *NETWORKS], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ModelError(f"{name!r} is neither a model file nor a model of the zoo: {hint}The zoo has {', '.join(models)}")


def _entry(row: dict) -> ModelEntry:  # type: ignore[type-arg]
    labels = row["labels"]
    return ModelEntry(
        name=row["name"],
        task=row["task"],
        description=row["description"],
        input=tuple(row["input"]),
        labels=KNOWN[labels] if isinstance(labels, str) else tuple(labels),
        preprocess=Preprocess(**row["preprocess"]),
        licence=row["licence"],
        files=tuple(FileEntry(**file) for file in row["files"]),
        shipped=row.get("shipped", False),
    )
