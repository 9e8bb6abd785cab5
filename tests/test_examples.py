"""The examples, built against an installed library and run; what they print is what Python finds."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from native_build import REPOSITORY, execute, native_build, tool

import edgecnn
from edgecnn.cli import main
from edgecnn.images import open_picture

EXAMPLES = REPOSITORY / "examples"
PICTURE = REPOSITORY / "models" / "demo.png"
LINES = 120  # of an example at most


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.ecnn"
    assert main(["convert", "digits", "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built examples."""
    folder = tmp_path_factory.mktemp("examples")
    build = native_build("edgecnn", "edgecnn_shared", "ecnn-run")
    cmake = tool("cmake")
    for component in ("runtime", "devel"):
        execute(cmake, "--install", build, "--prefix", folder / "prefix", "--component", component)
    execute(cmake, "-S", EXAMPLES, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}")
    printed = execute(cmake, "--build", folder / "build")
    assert "warning" not in printed
    return folder / "build"


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Even sizes, BGR."""
    pixels = open_picture(PICTURE).bgr()
    return np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])


def boxes_text(found: edgecnn.Detections) -> list[str]:
    return [f"{d.name} {d.conf:.4f}  " + " ".join(f"{v:.2f}" for v in d.xyxy) for d in found]


def test_detect(programs: Path, model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    frame = tmp_path / "frame.bgr"
    picture.tofile(frame)
    height, width = picture.shape[:2]
    printed = execute(programs / "detect", model, frame, width, height, "bgr").splitlines()
    expected = boxes_text(edgecnn.Detector(str(model))(picture))
    assert printed == expected and len(expected) > 3
    assert "fewer bytes" in execute(programs / "detect", model, frame, width, height + 2, "bgr", status=1)
    assert "not an .ecnn file" in execute(programs / "detect", PICTURE, frame, width, height, status=1)


def test_camera_sees_the_newest_frame(programs: Path, model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    """Frames only ever get newer, and the last one is not missed."""
    cv2 = pytest.importorskip("cv2")
    height, width = picture.shape[:2]
    yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV)
    yuyv = np.empty((height, width, 2), np.uint8)
    yuyv[:, :, 0] = (yuv[:, :, 0].astype(np.float32) * (219 / 255) + 16).astype(np.uint8)
    yuyv[:, 0::2, 1], yuyv[:, 1::2, 1] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    frames = 30
    file = tmp_path / "frames.yuyv"
    file.write_bytes(yuyv.tobytes() * frames)
    printed = execute(programs / "camera", model, file, width, height, 200).splitlines()
    numbers = [int(re.match(r"frame (\d+):", line).group(1)) for line in printed]  # type: ignore[union-attr]
    assert numbers == sorted(set(numbers)) and numbers[-1] == frames
    found = edgecnn.Detector(str(model))(cv2.cvtColor(yuyv, cv2.COLOR_YUV2BGR_YUYV))
    assert len(found) > 3
    assert {line.partition(": ")[2] for line in printed} == {" ".join(f"{d.name} {d.conf:.2f}" for d in found)}
    assert "cannot open" in execute(programs / "camera", model, tmp_path / "none", 64, 64, status=1)


def test_pipeline_sees_every_frame(programs: Path, model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    height, width = picture.shape[:2]
    i420 = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    planes = i420.reshape(-1)
    pairs = planes[width * height :].reshape(2, -1).T
    nv12 = np.concatenate([planes[: width * height], pairs.reshape(-1)]).reshape(-1, width)
    frames = [nv12, np.full_like(nv12, 128), nv12]
    file = tmp_path / "frames.nv12"
    file.write_bytes(b"".join(f.tobytes() for f in frames) + b"part of a frame")
    with open(file, "rb") as stdin:
        printed = execute(programs / "pipeline", model, width, height, stdin=stdin).splitlines()
    detector = edgecnn.Detector(str(model))
    for number, (line, frame) in enumerate(zip(printed, frames), 1):
        found = detector(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_NV12))
        assert line == " ".join([f"frame {number}:", *(f"{d.name} {d.conf:.2f}" for d in found)])
    assert len(printed) == len(frames)


def test_video_app_streams(picture: np.ndarray, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("PIL")
    video = tmp_path / "video.avi"
    height, width = picture.shape[:2]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 25, (width, height))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write videos")
    for _ in range(60):
        writer.write(picture)
    writer.release()
    command = [sys.executable, str(EXAMPLES / "video_app.py"), str(video), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        address = app.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}/stream", timeout=60) as stream:
            head = [stream.readline() for _ in range(4)]
            assert head[:2] == [b"--frame\r\n", b"Content-Type: image/jpeg\r\n"]
            jpeg = stream.read(int(head[2].split(b":")[1]))
        shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == picture.shape
        assert np.abs(shown.astype(int) - picture).max() > 100  # boxes are drawn
        printed = app.stdout.read()
    assert app.returncode == 0 and len(printed.splitlines()) == 60


def test_examples_are_short() -> None:
    for path in EXAMPLES.iterdir():
        if path.is_file():
            assert len(path.read_text().splitlines()) < LINES, path.name
