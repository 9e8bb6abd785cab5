"""The NEON build on emulated boards: C++ tests and whole models under QEMU, on the cores that people have.

These are static programs, quick to build and to start. The Python suite runs from an installed wheel by `make test-arm`
(docker/suite.py).

Needs Debian's g++-aarch64-linux-gnu and qemu-user. Without them the tests skip, unless EDGECNN_REQUIRE_ARM is set, as
it is in CI: then their absence is a failure. Emulated time says nothing about speed.
"""

from __future__ import annotations

import os
import subprocess
import sys
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
CORES = ["cortex-a53", "cortex-a72"]
LIBRARY_BYTES = 700 << 10  # of the shared library at most; the goal is 600 KiB


@pytest.fixture(scope="session")
def arm_build() -> Path:
    """The cross build of library, tests and ecnn-run; static programs."""
    tool("aarch64-linux-gnu-g++")
    cmake, build = tool("cmake"), REPOSITORY / "build" / "aarch64"
    toolchain = REPOSITORY / "csrc" / "cmake" / "aarch64-linux-gnu.cmake"
    configure = [
        cmake,
        "-S",
        REPOSITORY / "csrc",
        "-B",
        build,
        f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
        "-DEDGECNN_TESTS=ON",
    ]
    for command in (configure, [cmake, "--build", build, "-j", str(os.cpu_count() or 1)]):
        result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return build


def test_oldest_instructions_only(arm_build: Path) -> None:
    """All that goes into a wheel and into ecnn-run runs on an ARMv8.0 core."""
    command = [sys.executable, REPOSITORY / "docker" / "instructions.py", arm_build / "libedgecnn.a"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0 and "all of ARMv8.0-A" in result.stdout, result.stdout + result.stderr


def emulate(core: str, *command: object) -> str:
    """Runs an aarch64 program on an emulated core and returns what it printed."""
    qemu = tool("qemu-aarch64", "qemu-aarch64-static")
    result = subprocess.run([qemu, "-cpu", core, *map(str, command)], capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, f"exit {result.returncode}: {result.stdout[-2000:]}{result.stderr[-2000:]}"
    return result.stdout


def run_on(core: str, build: Path, graph: Graph, inputs: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """A graph, compiled here for ARMv8, run there."""
    build_plan(graph, find_target("armv8")).save(folder / "model.ecnn")
    options: list[object] = []
    for i, name in enumerate(graph.inputs):
        inputs[name].tofile(folder / f"in{i}")
        options += ["--input", folder / f"in{i}"]
    for i in range(len(graph.outputs)):
        options += ["--output", folder / f"out{i}"]
    printed = emulate(core, build / "ecnn-run", folder / "model.ecnn", "--threads", 2, *options)
    assert "target armv8" in printed
    return {s.name: np.fromfile(folder / f"out{i}", s.dtype).reshape(s.shape) for i, s in enumerate(graph.output_specs)}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("program", ["kernel_test", "algo_test", "vision_test", "thread_test"])
def test_kernels(arm_build: Path, program: str, core: str) -> None:
    print(emulate(core, arm_build / program))


def test_frames_allocate_nothing(arm_build: Path, tmp_path: Path) -> None:
    build_plan(run_passes(yolo_like()), find_target("armv8")).save(tmp_path / "model.ecnn")
    assert "2 threads: 0 allocations" in emulate(CORES[0], arm_build / "frame_test", tmp_path / "model.ecnn")


@pytest.fixture(scope="session")
def arm_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.ecnn, a detector, and lenet-digits.ecnn, a classifier."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("digits", "lenet-digits"):
        assert main(["convert", name, "-o", str(folder / f"{name}.ecnn"), "--target", "armv8"]) == 0
    return folder


def test_c_api(arm_build: Path, arm_models: Path) -> None:
    print(emulate(CORES[0], arm_build / "api_test", *sorted(arm_models.iterdir())))


def test_examples(arm_build: Path, arm_models: Path, tmp_path: Path) -> None:
    """Built as a user would for a board, against the installed library; the boxes are those of this machine."""
    cmake, build = tool("cmake"), tmp_path / "build"
    toolchain = REPOSITORY / "csrc" / "cmake" / "aarch64-linux-gnu.cmake"
    for command in (
        [cmake, "--install", arm_build, "--prefix", tmp_path / "prefix", "--component", "devel"],
        [cmake, "--install", arm_build, "--prefix", tmp_path / "prefix", "--component", "runtime"],
        [
            *[cmake, "-S", REPOSITORY / "examples", "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"],
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
    printed = emulate(CORES[1], build / "detect", arm_models / "digits.ecnn", tmp_path / "frame", width, height, "bgr")
    rows = [line.split() for line in printed.splitlines()]
    assert [row[0] for row in rows] == [d.name for d in found]
    for row, d in zip(rows, found):
        np.testing.assert_allclose([float(v) for v in row[1:]], [d.conf, *d.xyxy], atol=0.02)
    size = width * height * 2
    (tmp_path / "frames").write_bytes(bytes(3 * size))
    file = [arm_models / "digits.ecnn", tmp_path / "frames", width, height, 100]
    assert "frame 3:" in emulate(CORES[0], build / "camera", *file)
    for program in ("detect", "camera", "pipeline"):
        print(f"{program}: {(build / program).stat().st_size} bytes, static")
    print(f"libedgecnn.so: {(arm_build / 'libedgecnn.so').stat().st_size} bytes")
    assert (arm_build / "libedgecnn.so").stat().st_size < LIBRARY_BYTES


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("make", [yolo_like, classifier_like])
def test_small_networks(arm_build: Path, make, core: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    graph = make()
    inputs = feed(graph)
    expected = reference.run(graph, inputs)
    for name, array in run_on(core, arm_build, run_passes(graph), inputs, tmp_path).items():
        assert relative_error(array, expected[name]) < 1e-5


@pytest.mark.parametrize("core", CORES)
def test_yolo_lite(arm_build: Path, data_dir: Path, core: str, tmp_path: Path) -> None:
    stem = data_dir / "darknet" / "yolo-lite" / "tiny-yolov2-trial3-noBatch"
    graph = import_model(stem.with_suffix(".cfg"), stem.with_suffix(".weights"))
    inputs = {"input": np.random.default_rng(0).random((1, 3, 224, 224), np.float32)}
    expected = reference.run(graph, inputs)
    for name, array in run_on(core, arm_build, run_passes(graph), inputs, tmp_path).items():
        error = relative_error(array, expected[name])
        print(f"YOLO-LITE on {core}: {name} differs by {error:.1e} of its largest value")
        assert error < 1e-4


def test_kernel_bench(arm_build: Path, tmp_path: Path) -> None:
    """Its times mean nothing here, but each step's output was compared with the reference."""
    qemu = tool("qemu-aarch64", "qemu-aarch64-static")
    plan = build_plan(run_passes(yolo_like()), find_target("armv8"))
    command = [qemu, "-cpu", CORES[0], str(arm_build / "kernel_bench"), "--milliseconds", "1", "--threads", "2"]
    report = bench_script("kernels").measure(plan, command, 2)
    assert report.target == "armv8" and report.peak > 0 and report.bandwidth > 0
    assert [row.kernel for row in report.rows] == [step.kind for step in plan.steps]
    assert all(row.error is not None and row.error < 1e-5 for row in report.rows if row.mflop)
