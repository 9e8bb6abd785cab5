"""The builds for ARM on emulated boards: C++ tests and whole models under QEMU, on the cores that people have.

These are static programs, quick to build and to start. The Python suite runs from an installed wheel by `make test-arm`
(docker/suite.py).

Needs Debian's g++-aarch64-linux-gnu, g++-arm-linux-gnueabihf and qemu-user. What is absent lets its tests skip, unless
EDGECNN_REQUIRE_ARM is set, as it is in CI: then they fail. Emulated time says nothing about speed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from arm_tools import tool
from bench_scripts import bench_script
from graphs import classifier_like, feed, relative_error, yolo_like

from edgecnn.cli import main
from edgecnn.detector import Detector
from edgecnn.graph import reference
from edgecnn.graph.ir import Graph
from edgecnn.images import open_picture
from edgecnn.importers import import_model
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan, find_target

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARY_BYTES = 700 << 10  # of the shared library for ARMv8 at most; the goal is 600 KiB


@dataclass(frozen=True)
class Board:
    """A core that QEMU has, and how programs for it are made."""

    core: str
    triplet: str = "aarch64-linux-gnu"
    qemu: str = "qemu-aarch64"
    target: str = "armv8"

    @property
    def toolchain(self) -> Path:
        return REPOSITORY / "csrc" / "cmake" / f"{self.triplet}.cmake"

    def build(self) -> Path:
        """The cross build of library, tests and ecnn-run; static programs."""
        tool(f"{self.triplet}-g++")
        return cross_build(self.triplet)

    def run(self, *command: object) -> str:
        """Runs a program on the emulated core and returns what it printed."""
        qemu = tool(self.qemu, f"{self.qemu}-static")
        result = subprocess.run(
            [qemu, "-cpu", self.core, *map(str, command)], capture_output=True, text=True, timeout=900
        )
        assert result.returncode == 0, f"exit {result.returncode}: {result.stdout[-2000:]}{result.stderr[-2000:]}"
        return result.stdout


A53, A72 = Board("cortex-a53"), Board("cortex-a72")
A7 = Board("cortex-a7", "arm-linux-gnueabihf", "qemu-arm", "armv7")

each_board = pytest.mark.parametrize("board", [A53, A72, A7], ids=lambda board: board.core)
each_architecture = pytest.mark.parametrize("board", [A53, A7], ids=lambda board: board.target)


@lru_cache
def cross_build(triplet: str) -> Path:
    cmake, build = tool("cmake"), REPOSITORY / "build" / triplet
    toolchain = REPOSITORY / "csrc" / "cmake" / f"{triplet}.cmake"
    options = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DEDGECNN_TESTS=ON"]
    for command in (
        [cmake, "-S", REPOSITORY / "csrc", "-B", build, *options],
        [cmake, "--build", build, "-j", str(os.cpu_count() or 1)],
    ):
        result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        assert "warning:" not in result.stdout + result.stderr, result.stdout[-3000:] + result.stderr[-3000:]
    return build


@pytest.mark.parametrize("board, base", [(A53, "ARMv8.0-A"), (A7, "ARMv7-A with VFPv3-D16")])
def test_oldest_instructions_only(board: Board, base: str) -> None:
    """All that goes into a wheel and into ecnn-run runs on the oldest cores."""
    command = [sys.executable, REPOSITORY / "docker" / "instructions.py", board.build() / "libedgecnn.a"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0 and f"all of {base}" in result.stdout, result.stdout + result.stderr


def run_on(board: Board, graph: Graph, inputs: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """A graph, compiled here for the board, run there."""
    build_plan(graph, find_target(board.target)).save(folder / "model.ecnn")
    options: list[object] = []
    for i, name in enumerate(graph.inputs):
        inputs[name].tofile(folder / f"in{i}")
        options += ["--input", folder / f"in{i}"]
    for i in range(len(graph.outputs)):
        options += ["--output", folder / f"out{i}"]
    printed = board.run(board.build() / "ecnn-run", folder / "model.ecnn", "--threads", 2, *options)
    assert f"target {board.target}" in printed
    return {s.name: np.fromfile(folder / f"out{i}", s.dtype).reshape(s.shape) for i, s in enumerate(graph.output_specs)}


@each_board
@pytest.mark.parametrize("program", ["kernel_test", "algo_test", "vision_test", "thread_test"])
def test_kernels(program: str, board: Board) -> None:
    print(board.run(board.build() / program))


@each_architecture
def test_frames_allocate_nothing(board: Board, tmp_path: Path) -> None:
    build_plan(run_passes(yolo_like()), find_target(board.target)).save(tmp_path / "model.ecnn")
    assert "2 threads: 0 allocations" in board.run(board.build() / "frame_test", tmp_path / "model.ecnn")


def converted(name: str, board: Board, folder: Path) -> Path:
    path = folder / f"{name}.ecnn"
    assert main(["convert", name, "-o", str(path), "--target", board.target]) == 0
    return path


@each_architecture
def test_c_api(board: Board, tmp_path: Path) -> None:
    models = [converted(name, board, tmp_path) for name in ("digits", "lenet-digits")]
    print(board.run(board.build() / "api_test", *models))


@each_architecture
def test_examples(board: Board, tmp_path: Path) -> None:
    """Built as a user would for a board, against the installed library; the boxes are those of this machine."""
    cmake, build, library = tool("cmake"), tmp_path / "build", board.build()
    model = converted("digits", board, tmp_path)
    for command in (
        [cmake, "--install", library, "--prefix", tmp_path / "prefix", "--component", "devel"],
        [cmake, "--install", library, "--prefix", tmp_path / "prefix", "--component", "runtime"],
        [
            *[cmake, "-S", REPOSITORY / "examples", "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={board.toolchain}"],
            f"-Dedgecnn_DIR={tmp_path / 'prefix' / 'lib' / 'cmake' / 'edgecnn'}",
        ],
        [cmake, "--build", build],
    ):
        subprocess.run([str(c) for c in command], check=True, capture_output=True)
    pixels = open_picture(REPOSITORY / "models" / "demo.png").bgr()
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    pixels = np.ascontiguousarray(pixels[:height, :width])
    pixels.tofile(tmp_path / "frame")
    found = Detector("digits")(pixels)
    printed = board.run(build / "detect", model, tmp_path / "frame", width, height, "bgr")
    rows = [line.split() for line in printed.splitlines()]
    assert [row[0] for row in rows] == [d.name for d in found]
    for row, d in zip(rows, found):
        np.testing.assert_allclose([float(v) for v in row[1:]], [d.conf, *d.xyxy], atol=0.02)
    size = width * height * 2
    (tmp_path / "frames").write_bytes(bytes(3 * size))
    file = [model, tmp_path / "frames", width, height, 100]
    assert "frame 3:" in board.run(build / "camera", *file)
    for program in ("detect", "camera", "pipeline"):
        print(f"{program}: {(build / program).stat().st_size} bytes, static")
    print(f"libedgecnn.so: {(library / 'libedgecnn.so').stat().st_size} bytes")
    if board.target == "armv8":
        assert (library / "libedgecnn.so").stat().st_size < LIBRARY_BYTES


@each_board
@pytest.mark.parametrize("make", [yolo_like, classifier_like])
def test_small_networks(make, board: Board, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    graph = make()
    inputs = feed(graph)
    expected = reference.run(graph, inputs)
    for name, array in run_on(board, run_passes(graph), inputs, tmp_path).items():
        assert relative_error(array, expected[name]) < 1e-5


@each_board
def test_yolo_lite(data_dir: Path, board: Board, tmp_path: Path) -> None:
    stem = data_dir / "darknet" / "yolo-lite" / "tiny-yolov2-trial3-noBatch"
    graph = import_model(stem.with_suffix(".cfg"), stem.with_suffix(".weights"))
    inputs = {"input": np.random.default_rng(0).random((1, 3, 224, 224), np.float32)}
    expected = reference.run(graph, inputs)
    for name, array in run_on(board, run_passes(graph), inputs, tmp_path).items():
        error = relative_error(array, expected[name])
        print(f"YOLO-LITE on {board.core}: {name} differs by {error:.1e} of its largest value")
        assert error < 1e-4


def test_kernel_bench() -> None:
    """Its times mean nothing here, but each step's output was compared with the reference."""
    qemu = tool("qemu-aarch64", "qemu-aarch64-static")
    plan = build_plan(run_passes(yolo_like()), find_target("armv8"))
    command = [qemu, "-cpu", A53.core, str(A53.build() / "kernel_bench"), "--milliseconds", "1", "--threads", "2"]
    report = bench_script("kernels").measure(plan, command, 2)
    assert report.target == "armv8" and report.peak > 0 and report.bandwidth > 0
    assert [row.kernel for row in report.rows] == [step.kind for step in plan.steps]
    assert all(row.error is not None and row.error < 1e-5 for row in report.rows if row.mflop)
