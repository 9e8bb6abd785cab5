"""What ran: versions of the packages that a time may depend on, and edgecnn's commit where anything tells it."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import edgecnn

PACKAGES = (
    "numpy", "onnxruntime", "ai-edge-litert", "tflite-runtime", "onnx", "ncnn", "opencv-python-headless",
    "opencv-python", "opencv-contrib-python", "Pillow",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Name to version of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit that edgecnn was installed from or lies in, with "+changes" where files differ from it."""
    return _installed_commit() or _checkout_commit(Path(edgecnn.__file__).resolve().parent)


def _installed_commit() -> str | None:
    """Of ``pip install git+https://...`` (PEP 610)."""
    try:
        origin = json.loads(metadata.distribution("edgecnn").read_text("direct_url.json") or "{}")
        return str(origin["vcs_info"]["commit_id"])
    except (metadata.PackageNotFoundError, KeyError, TypeError, ValueError):
        return None


def _checkout_commit(package: Path) -> str | None:
    if not (package.parent / ".git").exists():
        return None
    head = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain", "--untracked-files=no")
    return f"{head}+changes" if head and changes else head or None


def _git(folder: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
