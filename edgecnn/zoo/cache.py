"""Where the files of a zoo model are on this machine.

Shipped models lie in the package. Of the others each file is looked for in ``$EDGECNN_MODELS`` (an offline folder, with
the files in it or in a subfolder of the model's name) and then in the user's cache. A file is used only when its size
and sha256 are those of the manifest.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors import DownloadError, ModelError
from edgecnn.graph.metadata import Preprocess
from edgecnn.zoo.manifest import FOLDER, FileEntry, ModelEntry, find

OFFLINE_FOLDER = "EDGECNN_MODELS"


@dataclass(frozen=True)
class ModelFiles:
    """A model of the zoo, ready to load."""

    name: str
    model: Path  # the model file; of a Darknet network the .cfg
    weights: Path | None
    labels: tuple[str, ...]
    preprocess: Preprocess


def cache_folder() -> Path:
    """Where fetched models are kept."""
    try:
        from platformdirs import user_cache_path
    except ImportError:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        return Path(base) / "edgecnn" / "models"
    return Path(user_cache_path("edgecnn", appauthor=False)) / "models"


def resolve(name: str) -> ModelFiles:
    """The files of a model. Nothing is fetched: that is what `edgecnn.zoo.pull` is for.

    Raises
    ------
    ModelError
        There is no such model, or its files are not on this machine; the message says what to do.
    DownloadError
        A file is here, but is not the one that the manifest names.
    """
    entry = find(name)
    paths = [locate(entry, file) for file in entry.files]
    missing = [file.name for file, path in zip(entry.files, paths) if path is None]
    if missing and entry.shipped:
        raise ModelError(f"{name}: {', '.join(missing)} is missing from the installed package; install edgecnn again")
    if missing:
        raise ModelError(
            f"{name}: not on this machine ({entry.size / 1e6:.1f} MB). Fetch it: edgecnn models pull {name}. "
            f"Offline: put {' and '.join(missing)} into a folder and name it in {OFFLINE_FOLDER}"
        )
    return model_files(entry, [path for path in paths if path is not None])


def is_available(name: str) -> bool:
    """Whether all files of a model are on this machine."""
    entry = find(name)
    return all(locate(entry, file) is not None for file in entry.files)


def model_files(entry: ModelEntry, paths: list[Path]) -> ModelFiles:
    """The paths of a model's files, with what goes with them."""
    weights = paths[1] if len(paths) > 1 else None
    return ModelFiles(entry.name, paths[0], weights, entry.labels, entry.preprocess)


def locate(entry: ModelEntry, file: FileEntry) -> Path | None:
    """Where a file of a model is, None where it is absent; DownloadError where it is another file."""
    if entry.shipped:
        path = FOLDER / "weights" / file.name
        return path if path.is_file() else None
    folders = [cache_folder() / entry.name]
    offline = os.environ.get(OFFLINE_FOLDER)
    if offline:
        folders = [Path(offline), Path(offline) / entry.name, *folders]
    for folder in folders:
        path = folder / file.name
        if path.is_file():
            problem = mismatch(path, file)
            if problem:
                raise DownloadError(f"{path}: {problem}; delete it and run: edgecnn models pull {entry.name}")
            return path
    return None


def mismatch(path: Path, file: FileEntry) -> str:
    """What is wrong with a file's size or sha256; "" where nothing is."""
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"{size} bytes instead of {file.size}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if digest == file.sha256 else f"sha256 {digest[:12]}... instead of {file.sha256[:12]}..."
