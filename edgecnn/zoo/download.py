"""Fetching the files of a zoo model: resumed, checked, and never left half done under their final name.

A file grows as ``<name>.<random>.part``, which belongs to one process; an interrupted one is left as ``<name>.part``,
which the next `pull` takes over by renaming it (a rename succeeds for one process only, so two pulls at once never
write to one file). Only after size and sha256 are right it is renamed to its final name.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.errors import DownloadError
from edgecnn.zoo.cache import OFFLINE_FOLDER, ModelFiles, cache_folder, locate, mismatch, model_files
from edgecnn.zoo.manifest import FileEntry, find

BASE_URL = "EDGECNN_MODELS_URL"  # fetch every file from this address instead; may be http
ABANDONED_SECONDS = 60.0  # a part that nobody has written to for so long is free to be taken over
CHUNK_BYTES = 1 << 16
TIMEOUT_SECONDS = 30.0

Progress = Callable[[str, int, int], None]  # file name, bytes so far, bytes in all


def pull(name: str, progress: Progress | None = None) -> ModelFiles:
    """Makes a model's files present on this machine and returns them.

    Parameters
    ----------
    name
        A model of the zoo.
    progress
        Called with file name, bytes so far and bytes in all while a file is fetched.

    Raises
    ------
    ModelError
        There is no such model.
    DownloadError
        A file could not be fetched, or is not the one that the manifest names. What has come stays for the next try.
    """
    entry = find(name)
    paths = []
    for file in entry.files:
        try:
            path = locate(entry, file)
        except DownloadError:
            path = None  # damaged: fetched anew
        paths.append(path or fetch(file, cache_folder() / entry.name, progress))
    return model_files(entry, paths)


def fetch(file: FileEntry, folder: Path, progress: Progress | None = None) -> Path:
    """Fetches one file into *folder*."""
    url = _url(file)
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = _take_part(folder, file.name)
        resumed = part.exists() and part.stat().st_size > 0
        try:
            _download(url, part, file, progress)
            problem = mismatch(part, file)
            if problem and resumed:  # the old part may have been of another file
                part.unlink()
                _download(url, part, file, progress)
                problem = mismatch(part, file)
            if problem:
                part.unlink()
                raise DownloadError(f"{url}: what came is not the file that edgecnn knows: {problem}")
            os.replace(part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.replace(part, folder / f"{file.name}.part")
            raise
    except (OSError, http.client.HTTPException) as error:
        if _is_about_disk(error):
            raise DownloadError(f"{target}: cannot be written: {error}") from error
        raise DownloadError(_network_message(url, file, error)) from error
    return target


def _url(file: FileEntry) -> str:
    base = os.environ.get(BASE_URL)
    if base:
        if urllib.parse.urlsplit(base).scheme not in ("http", "https"):
            raise DownloadError(f"{BASE_URL}={base}: must start with https:// or http://")
        return f"{base.rstrip('/')}/{file.name}"
    if not file.url.startswith("https://"):
        raise DownloadError(f"{file.url}: only https is allowed")
    return file.url


def _take_part(folder: Path, name: str) -> Path:
    """A part file of our own: one that was left behind, if there is one, else one yet to be made."""
    mine = folder / f"{name}.{secrets.token_hex(4)}.part"
    abandoned = [
        path for path in sorted(folder.glob(f"{name}.*.part")) if time.time() - _modified(path) > ABANDONED_SECONDS
    ]
    for path in (folder / f"{name}.part", *abandoned):
        with contextlib.suppress(OSError):
            os.rename(path, mine)
            break
    return mine


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


class _SameSecurity(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https://") and not newurl.startswith("https://"):
            raise DownloadError(f"{req.full_url}: redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, part: Path, file: FileEntry, progress: Progress | None) -> None:
    """Brings *part* to its full size, going on where it ends."""
    have = part.stat().st_size if part.exists() else 0
    if have >= file.size:
        if have == file.size:
            return
        part.unlink()
        have = 0
    headers = {"User-Agent": "edgecnn", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    opener = urllib.request.build_opener(_SameSecurity)
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == 416:  # it has another size there: start anew
            part.unlink()
            return _download(url, part, file, progress)
        raise
    with response, open(part, "r+b" if have else "wb") as out:
        if not have or not _continues(response, have):
            have = 0
            out.truncate(0)
        out.seek(have)
        while have <= file.size:
            if progress is not None:
                progress(file.name, have, file.size)
            chunk = response.read(CHUNK_BYTES)
            if not chunk:
                break
            out.write(chunk)
            have += len(chunk)
    if have < file.size:
        raise DownloadError(
            f"{url}: the connection ended after {have} of {file.size} bytes; what has come is kept, so try again"
        )
    return None


def _continues(response: Any, have: int) -> bool:
    """Whether the server sends the rest rather than the whole."""
    if response.status != 206:
        return False
    return bool(response.headers.get("Content-Range", "").startswith(f"bytes {have}-"))


def _is_about_disk(error: Exception) -> bool:
    """Whether an error comes from the disk; those of the network are OSErrors too, but name no file."""
    if not isinstance(error, OSError) or isinstance(error, urllib.error.URLError):
        return False
    return error.filename is not None or error.errno == errno.ENOSPC


def _network_message(url: str, file: FileEntry, error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{url}: the server answers {error.code} {error.reason}"
    reason = getattr(error, "reason", None) or error
    return (
        f"{url}: cannot be fetched ({reason or type(error).__name__}). Offline? Put {file.name} "
        f"(sha256 {file.sha256[:12]}...) into a folder and name it in {OFFLINE_FOLDER}"
    )
