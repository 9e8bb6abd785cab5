"""Models by name: two that are shipped, and published ones that `pull` fetches.

`manifest` lists them, `cache` finds their files on this machine, `download` fetches them.

Every published file is pinned by commit, size and sha256. Tiny-YOLO v2, v3 and v4 are not listed: their weights could
not be fetched and checked when this list was made. ``edgecnn.load("yolov3-tiny.cfg")`` runs them from your own files.
"""

from edgecnn.zoo.cache import ModelFiles, cache_folder, is_available, resolve
from edgecnn.zoo.download import pull
from edgecnn.zoo.manifest import ModelEntry, list_models

__all__ = ["ModelEntry", "ModelFiles", "cache_folder", "is_available", "list_models", "pull", "resolve"]
