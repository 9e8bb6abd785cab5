"""Compiled plans on disk, so that a model is planned once on a machine and mapped from then on.

An entry is an ``.ecnn`` file in ``$EDGECNN_CACHE`` (default: ``~/.cache/edgecnn/plans``). Its pages are shared by all
processes that run the model. Together the entries have at most `LIMIT` bytes, and on a disk with less than twice that
half of what would be free without them; the least recently used make room. A plan of more than half of all that is not
kept, so that one large model does not push out all others. ``EDGECNN_CACHE=off`` and ``edgecnn.load(..., cache=False)``
do without.

**A stale plan is never used.** The name of an entry is a hash of everything that the plan was made from: of each file
its path, device, inode, size and both times (the time of change cannot be set back by anybody), the version, sources
and kernels of edgecnn, the instruction set, the verdicts of `edgecnn.tune`, the environment variables of edgecnn, and
the options. A file that was touched within the last seconds could change again without its times showing it, so it has
no name and is not cached; nor is a model with weights in further files.

**A damaged entry is planned again.** What decides where kernels read and write is checked at each load, in full. The
checksum of the weights would mean to read them all, which is what the cache is there to avoid. What damages a file
behind the system's back is power lost before its pages were written, and that is over with the next boot: so the
weights are checked when an entry is first used after a boot, which its stamp remembers. An entry gets its name by
renaming, whole; nobody waits for the disk (no fsync): power lost soon after costs no more than planning again. An
``.ecnn`` that a user names comes from anywhere, and is checked in full each time.

Nothing here raises: a cache that cannot be read or written is none.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import edgecnn
from edgecnn import verdicts
from edgecnn.files import digest
from edgecnn.mapping import map_file

FOLDER = "EDGECNN_CACHE"
LIMIT = 2 << 30  # two of VGG-16, the largest network of the papers
SETTLED_SECONDS = 3.0  # FAT keeps times in steps of two seconds
ABANDONED_SECONDS = 3600.0
SUFFIX, DRAFT_SUFFIX = ".ecnn", ".part"
STAMP = struct.Struct("<I")
STAMP_OFFSET = 132
# What decides what a plan looks like, beside the native module.
SOURCES = ("graph", "importers", "importers/onnx", "passes", "plan")


def folder() -> str | None:
    """Where plans are kept; None where they are not."""
    chosen = os.environ.get(FOLDER)
    if chosen:
        return None if chosen == "off" else chosen
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "edgecnn", "plans") if os.path.isabs(base) else None


def name_of(
    path: str, weights: str | os.PathLike[str] | None, input_shapes: Mapping[str, Sequence[int]] | None
) -> str | None:
    """The name of a model's plan; None where it must not be kept."""
    from edgecnn import _core

    files = [path]
    stem, suffix = os.path.splitext(path)
    if suffix.lower() == ".cfg":
        files += [stem + ".names", os.fsdecode(weights) if weights else stem + ".weights"]
    try:
        states = [_state(file) for file in files]
        shapes = sorted((name, tuple(int(d) for d in shape)) for name, shape in (input_shapes or {}).items())
        build = _state_of_edgecnn(_core.__file__)
    except (OSError, TypeError, ValueError):  # whoever loads the model will say what is wrong
        return None
    now = time.time()
    if states[0] is None or any(state and max(state[1][-2:]) / 1e9 > now - SETTLED_SECONDS for state in states):
        return None
    environment = sorted((k, v) for k, v in os.environ.items() if k.startswith("EDGECNN_") and k != FOLDER)
    measured = verdicts.selection_key(folder())
    facts = (
        edgecnn.__version__,
        build,
        _core.cpu_info()["target"],
        environment,
        str(weights),
        shapes,
        states,
        measured,
    )
    return digest(repr(facts))


def _state(file: str) -> tuple[str, tuple[int, ...]] | None:
    """What changes when a file does; None for one that is absent."""
    try:
        s = os.stat(file)
    except FileNotFoundError:
        return None
    return os.path.abspath(file), (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


def _state_of_edgecnn(module: str) -> list[tuple[str, int, int]]:
    """Sizes and times of the files that planning depends on, so that a changed one is a new edgecnn."""
    package = os.path.dirname(__file__)
    found = [(module, os.stat(module).st_size, os.stat(module).st_mtime_ns)]
    for source in SOURCES:
        with os.scandir(os.path.join(package, source)) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    s = entry.stat()
                    found.append((f"{source}/{entry.name}", s.st_size, s.st_mtime_ns))
    return sorted(found)


def find(name: str) -> tuple[memoryview, bool] | None:
    """A plan, and whether its weights have to be checked; None where it is not here."""
    place = folder()
    if place is None:
        return None
    path = os.path.join(place, name + SUFFIX)
    try:
        with open(path, "rb") as file:
            content = map_file(file)
        with contextlib.suppress(OSError):
            os.utime(path)  # the most recently used
        stamp = STAMP.unpack_from(content, STAMP_OFFSET)[0] if len(content) >= STAMP_OFFSET + STAMP.size else 0
    except OSError:
        return None
    return content, stamp == 0 or stamp != boot()


def found_whole(name: str) -> None:
    """Remembers that the weights of a plan were checked since the machine was booted."""
    place = folder()
    try:
        if place is not None and boot():
            with open(os.path.join(place, name + SUFFIX), "r+b") as file:
                file.seek(STAMP_OFFSET)
                file.write(STAMP.pack(boot()))
    except OSError:
        pass


class Draft:
    """The file of a plan in the making. `keep` or `discard` it; what was mapped of it stays usable."""

    def __init__(self, place: str) -> None:
        self._path = os.path.join(place, f"{os.getpid():x}-{time.time_ns():x}{DRAFT_SUFFIX}")
        self.file: BinaryIO = open(self._path, "x+b")  # noqa: SIM115
        self._place = place

    def keep(self, name: str) -> None:
        """Makes it the plan of that name, if it is not too large."""
        try:
            room = _room(self._place)
            if os.stat(self._path).st_size <= room // 2:
                os.replace(self._path, os.path.join(self._place, name + SUFFIX))
                _make_room(room)
        except OSError:
            pass
        self.discard()

    def discard(self) -> None:
        """Closes the file and removes it."""
        with contextlib.suppress(OSError):  # what was buffered may not go to a full disk
            self.file.close()
        _unlink(self._path)


def create() -> Draft | None:
    """A file for a new plan; None where none can be made."""
    place = folder()
    try:
        if place is None:
            return None
        os.makedirs(place, exist_ok=True)
        return Draft(place)
    except OSError:
        return None


def _room(place: str) -> int:
    """Bytes that all plans may take together."""
    disk = os.statvfs(place)
    own = sum(size for suffix in (SUFFIX, DRAFT_SUFFIX) for _, size, _ in _files(suffix))
    return min(LIMIT, (disk.f_bavail * disk.f_frsize + own) // 2)


def _make_room(room: int) -> None:
    """Removes the least recently used plans that do not fit, and drafts whose process has died."""
    for path, size, _ in entries():
        room -= size
        if room < 0:
            _unlink(path)
    for path, _, last_used in _files(DRAFT_SUFFIX):
        if last_used < time.time() - ABANDONED_SECONDS:
            _unlink(path)


def remove(name: str) -> None:
    """Removes a plan. Who has mapped it can go on using it."""
    place = folder()
    if place is not None:
        _unlink(os.path.join(place, name + SUFFIX))


def entries() -> list[tuple[str, int, float]]:
    """Path, bytes and time of last use of each plan, the last used first."""
    return sorted(_files(SUFFIX), key=lambda entry: -entry[2])


def _files(suffix: str) -> list[tuple[str, int, float]]:
    """Path, bytes and time of each file of the cache with that suffix."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder() or "") as content:
        for entry in content:
            if entry.name.endswith(suffix):
                s = entry.stat()
                found.append((entry.path, s.st_size, s.st_mtime))
    return found


def boot() -> int:
    """A number of this boot of the machine; 0 where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return zlib.crc32(file.read())
    except OSError:
        return 0


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
