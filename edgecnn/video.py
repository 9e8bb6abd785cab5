"""Frames of video files, cameras and network streams, through OpenCV.

A file is read frame by frame, none left out. A camera or stream does not wait: a thread reads it all the time and keeps
only the newest frame, so that a slow detector sees the present and not a growing queue of the past.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Union

import numpy as np

from edgecnn.errors import InputError, MissingDependency

VideoSource = Union[str, int, "os.PathLike[str]"]

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts")
_SCHEMES = ("rtsp://", "rtmp://", "http://", "https://", "udp://", "tcp://")


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes
    ----------
    image : ndarray
        uint8 (H, W, 3) BGR.
    index : int
        Number of the frame since the start, those left out counted too.
    age : float
        Seconds since the frame was read: 0 for files; for cameras the time it waited to be taken.
    """

    image: np.ndarray
    index: int
    age: float


def is_live(source: VideoSource) -> bool:
    """Whether *source* is a camera (an index) or a network stream, as opposed to a file."""
    return isinstance(source, (int, np.integer)) or str(source).isdigit() or str(source).lower().startswith(_SCHEMES)


def is_video(source: object) -> bool:
    """Whether *source* names a camera, a stream or a video file (by its suffix)."""
    if not isinstance(source, (str, int, np.integer, os.PathLike)) or isinstance(source, bool):
        return False
    return is_live(source) or os.path.splitext(os.fspath(source))[1].lower() in SUFFIXES  # type: ignore[arg-type]


class VideoReader:
    """Iterates over the frames of a file, camera or stream; a context manager.

    Parameters
    ----------
    source
        Path of a video file, index of a camera (``0`` or ``"0"``), or a URL (rtsp, http, ...).
    timeout
        Seconds to wait for a camera's or stream's next frame.

    Raises
    ------
    InputError
        The source cannot be opened; while iterating: a live source delivers nothing for *timeout* seconds.
    MissingDependency
        OpenCV is not installed.
    """

    def __init__(self, source: VideoSource, *, timeout: float = 10.0) -> None:
        self.source = source
        self.live = is_live(source)
        capture = _open(source, self.live)
        self._frames: FileFrames | NewestFrame = (
            NewestFrame(capture, str(source), timeout) if self.live else FileFrames(capture)
        )

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def close(self) -> None:
        """Releases the source. Iterating afterwards ends at once."""
        self._frames.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileFrames:
    """Every frame of an OpenCV capture, in order."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        self._index = 0

    def __iter__(self) -> Iterator[Frame]:
        while self._capture is not None:
            good, image = self._capture.read()
            if not good:
                return
            yield Frame(image, self._index, 0.0)
            self._index += 1

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class NewestFrame:
    """The newest frame of an OpenCV capture, which a thread reads without pause.

    The thread alone touches the capture, and releases it: OpenCV may crash when one thread releases what another reads.
    """

    def __init__(self, capture: Any, name: str, timeout: float) -> None:
        self._capture = capture
        self._name = name
        self._timeout = timeout
        self._changed = threading.Condition()
        self._newest: tuple[np.ndarray, int, float] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._read, name=f"edgecnn-video-{name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        taken = -1
        while True:
            with self._changed:
                if not self._wait_for_frame_after(taken):
                    raise InputError(f"video source {self._name}: no frame for {self._timeout:g} s")
                if self._closing or not self._has_after(taken):
                    if self._error is not None:
                        raise InputError(f"video source {self._name}: {self._error}") from self._error
                    return
                assert self._newest is not None
                image, taken, read_at = self._newest
            yield Frame(image, taken, time.monotonic() - read_at)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)  # a dead network stream may block longer; the thread is a daemon

    def _wait_for_frame_after(self, index: int) -> bool:
        """Waits for a newer frame or the end; False when neither came in time."""
        return self._changed.wait_for(
            lambda: self._ended or self._closing or self._has_after(index), timeout=self._timeout
        )

    def _has_after(self, index: int) -> bool:
        return self._newest is not None and self._newest[1] > index

    def _read(self) -> None:
        index = 0
        try:
            while not self._closing:
                good, image = self._capture.read()
                if not good:
                    break
                with self._changed:
                    self._newest = (image, index, time.monotonic())
                    self._changed.notify_all()
                index += 1
        except Exception as error:  # of OpenCV or its drivers; raised where the frames are read
            self._error = error
        finally:
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()


def _open(source: VideoSource, live: bool) -> Any:
    try:
        import cv2
    except ImportError:
        raise MissingDependency.for_extra("opencv-python-headless", "vision", "reading videos and cameras") from None
    if not live and not os.path.isfile(source):
        raise InputError(f"{source}: no such file")
    target = int(str(source)) if str(source).isdigit() else str(source)
    try:
        capture = cv2.VideoCapture(target)
    except cv2.error as error:
        raise InputError(f"video source {source}: cannot be opened ({error})") from error
    if not capture.isOpened():
        capture.release()
        kind = "camera or stream" if live else "video file"
        raise InputError(f"{kind} {source}: cannot be opened; OpenCV does not find it or does not know its format")
    return capture
