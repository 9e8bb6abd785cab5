"""Video files frame by frame; of live sources the newest frame only."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import InputError, MissingDependency
from edgecnn.video import FileFrames, NewestFrame, VideoReader, is_live, is_video


class FakeCapture:
    """Counts frames; `allow` frames may be read before it blocks, and after `end` frames it has none."""

    def __init__(self, end: int, allow: int | None = None) -> None:
        self.end = end
        self.count = 0
        self.released_by: list[str] = []
        self.gate = threading.Semaphore(end + 1 if allow is None else allow)

    def read(self) -> tuple[bool, np.ndarray | None]:
        while not self.gate.acquire(timeout=0.01):
            if self.released_by:
                return False, None
        if self.count >= self.end:
            return False, None
        self.count += 1
        return True, np.full((2, 2, 3), (self.count - 1) % 256, np.uint8)

    def release(self) -> None:
        self.released_by.append(threading.current_thread().name)


def wait_until(condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("source", "live"),
    [(0, True), ("0", True), ("rtsp://host/x", True), ("HTTP://host/x.mp4", True), ("a.mp4", False), ("x0", False)],
)
def test_is_live(source: object, live: bool) -> None:
    assert is_live(source) is live  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "video"),
    [(0, True), ("a.MP4", True), (Path("a.avi"), True), ("a.jpg", False), (None, False), (True, False), ([], False)],
)
def test_is_video(source: object, video: bool) -> None:
    assert is_video(source) is video


def test_a_file_gives_every_frame() -> None:
    frames = list(FileFrames(FakeCapture(5)))
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2, 3, 4]
    assert all(f.age == 0 for f in frames)


def test_a_live_source_gives_the_newest_frame_and_its_age() -> None:
    capture = FakeCapture(end=100, allow=10)
    source = NewestFrame(capture, "camera", timeout=10)
    wait_until(lambda: capture.count == 10 and source._newest is not None and source._newest[1] == 9)
    frames = iter(source)
    time.sleep(0.02)
    first = next(frames)
    assert first.index == 9 and int(first.image[0, 0, 0]) == 9
    assert first.age >= 0.02
    for _ in range(3):
        capture.gate.release()
    wait_until(lambda: source._newest is not None and source._newest[1] == 12)
    assert next(frames).index == 12
    source.close()
    for _ in range(101):
        capture.gate.release()
    wait_until(lambda: capture.released_by)


def test_a_live_source_never_repeats_a_frame_and_ends_with_its_source() -> None:
    source = NewestFrame(FakeCapture(end=500), "camera", timeout=10)
    indices = [frame.index for frame in source]
    assert indices == sorted(set(indices))
    assert indices[-1] == 499


def test_a_silent_live_source_is_an_error() -> None:
    capture = FakeCapture(end=10, allow=0)
    source = NewestFrame(capture, "camera 0", timeout=0.05)
    with pytest.raises(InputError, match=r"camera 0: no frame for 0\.05 s"):
        next(iter(source))
    capture.gate.release()
    source.close()


def test_an_error_of_the_source_reaches_the_reader() -> None:
    class BrokenCapture(FakeCapture):
        def read(self) -> tuple[bool, np.ndarray | None]:
            if self.count == 3:
                raise RuntimeError("cable pulled")
            return super().read()

    with pytest.raises(InputError, match="camera: cable pulled"):
        list(NewestFrame(BrokenCapture(end=10), "camera", timeout=10))


def test_close_ends_a_waiting_reader_and_only_the_thread_releases() -> None:
    capture = FakeCapture(end=10, allow=1)
    source = NewestFrame(capture, "camera", timeout=30)
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(frame.index for frame in source))
    reader.start()
    wait_until(lambda: seen == [0])
    threading.Timer(0.05, lambda: [capture.gate.release() for _ in range(11)]).start()
    source.close()
    reader.join(10)
    assert not reader.is_alive()
    wait_until(lambda: capture.released_by)
    assert capture.released_by == ["edgecnn-video-camera"]


def test_a_video_file(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MJPG")
    for value in (0, 80, 160, 240):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    with VideoReader(path) as reader:
        values = [int(frame.image.mean().round()) for frame in reader]
    np.testing.assert_allclose(values, [0, 80, 160, 240], atol=3)
    assert list(reader) == []  # closed


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    with pytest.raises(InputError, match="no such file"):
        VideoReader(tmp_path / "absent.mp4")
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(InputError, match=r"text\.mp4"):
        VideoReader(path)


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependency, match=r"edgecnn\[vision\]"):
        VideoReader("clip.mp4")
