"""The C API: the same boxes as Python's, bit for bit; what the library exports; how applications build with it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from c_api import BGR, BGRA, CLASS, GREY, NV12, RGB, RGBA, YUYV, Context, image_of, load_library
from native_build import CSRC, execute, native_build, tool
from test_models import DETECTORS, PICTURES

import edgecnn
from edgecnn.cli import main
from edgecnn.errors import ModelFormatError
from edgecnn.images import open_picture

HEADER = CSRC / "include" / "edgecnn" / "edgecnn.h"


@pytest.fixture(scope="module")
def build() -> Path:
    return native_build("edgecnn", "edgecnn_shared", "ecnn-run", "api_test")


@pytest.fixture(scope="module")
def library(build: Path) -> ctypes.CDLL:
    return load_library(build / "libedgecnn.so")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.ecnn, a detector, and lenet-digits.ecnn, a classifier."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("digits", "lenet-digits"):
        assert main(["convert", name, "-o", str(folder / f"{name}.ecnn")]) == 0
    return folder


def test_c_api(build: Path, models: Path) -> None:
    print(execute(build / "api_test", models / "digits.ecnn", models / "lenet-digits.ecnn"))


def same_boxes(found: np.ndarray, expected: edgecnn.Detections) -> bool:
    return (
        found["xyxy"].tobytes() == expected.xyxy.tobytes()
        and found["score"].tobytes() == expected.conf.tobytes()
        and found["class_id"].tolist() == expected.class_id.tolist()
    )


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_are_those_of_python(library: ctypes.CDLL, name: str, data_dir: Path, tmp_path: Path) -> None:
    cfg, weights, *_ = DETECTORS[name]
    path = tmp_path / "model.ecnn"
    options = ["--weights", str(data_dir / weights)] if weights else []
    assert main(["convert", str(data_dir / cfg), "-o", str(path), *options]) == 0
    count = 0
    with Context(library, path) as context:
        for settings in ({}, {"conf": 0.01, "iou": 0.6}, {"conf": 0.01, "agnostic": True}):
            with edgecnn.Detector(str(path), **settings) as detector:  # type: ignore[arg-type]
                for picture in PICTURES:
                    opened = open_picture(data_dir / "images" / picture)
                    pixels = np.ascontiguousarray(opened.pixels)
                    expected = detector(data_dir / "images" / picture)
                    found = context.detect(image_of(pixels, GREY if pixels.ndim == 2 else RGB), **settings)
                    assert same_boxes(found, expected), (picture, settings)
                    count += len(found)
    assert count > 0


@pytest.mark.parametrize("width", [96, 97])
def test_pixel_formats(library: ctypes.CDLL, models: Path, width: int) -> None:
    """Each gives the boxes of the same picture in Python; those of cameras as OpenCV converts them."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(5)
    height = 64
    bgr = rng.integers(0, 256, (height, width, 3), np.uint8)
    even = width // 2 * 2  # what OpenCV converts
    nv12 = rng.integers(0, 256, (height * 3 // 2, even), np.uint8)
    yuyv = rng.integers(0, 256, (height, even, 2), np.uint8)
    alpha = cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA)
    cases = [
        (bgr, bgr, BGR),
        (bgr, np.ascontiguousarray(bgr[:, :, ::-1]), RGB),
        (bgr, alpha, BGRA),
        (bgr, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGBA), RGBA),
        (np.ascontiguousarray(bgr[:, :, 0]), np.ascontiguousarray(bgr[:, :, 0]), GREY),
        (cv2.cvtColor(nv12, cv2.COLOR_YUV2BGR_NV12), nv12, NV12),
        (cv2.cvtColor(yuyv, cv2.COLOR_YUV2BGR_YUYV), yuyv, YUYV),
    ]
    path = models / "digits.ecnn"
    with Context(library, path) as context, edgecnn.Detector(str(path), conf=0.001) as detector:
        for python, pixels, pixel_format in cases:
            image = image_of(pixels, pixel_format, even if pixel_format >= NV12 else width, height)
            expected = detector(python)
            assert len(expected)
            assert same_boxes(context.detect(image, conf=0.001), expected), pixel_format


def test_pictures_of_odd_width(library: ctypes.CDLL, models: Path) -> None:
    """The last pixel of a row has a pair of its own: as in the picture that is one pixel wider, cut."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(6)
    height, width = 10, 7
    nv12 = rng.integers(0, 256, (height * 3 // 2, width + 1), np.uint8)
    yuyv = rng.integers(0, 256, (height, width + 1, 2), np.uint8)
    path = models / "digits.ecnn"
    with Context(library, path) as context, edgecnn.Detector(str(path), conf=0.001) as detector:
        image = image_of(yuyv, YUYV, width, height)
        expected = detector(np.ascontiguousarray(cv2.cvtColor(yuyv, cv2.COLOR_YUV2BGR_YUYV)[:, :width]))
        assert same_boxes(context.detect(image, conf=0.001), expected)
        image = image_of(nv12, NV12, width, height)
        image.stride = width + 1
        expected = detector(np.ascontiguousarray(cv2.cvtColor(nv12, cv2.COLOR_YUV2BGR_NV12)[:, :width]))
        assert same_boxes(context.detect(image, conf=0.001), expected)


def test_rows_may_have_gaps_and_go_up(library: ctypes.CDLL, models: Path) -> None:
    wide = np.random.default_rng(7).integers(0, 256, (50, 80, 3), np.uint8)
    path = models / "digits.ecnn"
    with Context(library, path) as context, edgecnn.Detector(str(path), conf=0.001) as detector:
        image = image_of(wide, BGR, 60, 50)
        image.stride = 240
        assert same_boxes(context.detect(image, conf=0.001), detector(wide[:, :60]))
        image.data, image.stride = wide.ctypes.data + 49 * 240, -240
        assert same_boxes(context.detect(image, conf=0.001), detector(wide[::-1, :60]))


def test_classes_are_those_of_python(library: ctypes.CDLL, models: Path) -> None:
    path = models / "lenet-digits.ecnn"
    rng = np.random.default_rng(8)
    with Context(library, path) as context, edgecnn.Classifier(str(path)) as classifier:
        for _ in range(20):
            grey = rng.integers(0, 256, (28, 28), np.uint8)
            expected = [(i, p) for i, _, p in classifier(grey).top(10)]
            found = context.classify(image_of(grey, GREY), 10)
            assert found.tobytes() == np.array(expected, CLASS).tobytes()
        assert library.ecnn_model_label(context.model, 3) == b"3"


def test_exported_symbols_are_those_of_the_header(build: Path) -> None:
    declared = set(re.findall(r"ECNN_API[^;(]*?(ecnn_\w+)\(", HEADER.read_text()))
    listed = subprocess.run(
        [tool("nm"), "-D", "--defined-only", build / "libedgecnn.so"], capture_output=True, text=True, check=True
    ).stdout
    exported = {line.split()[-1].split("@")[0] for line in listed.splitlines()} - {"ECNN_1"}
    print("\n".join(sorted(exported)))
    assert exported == declared and len(declared) > 15


def test_needs_nothing_but_the_runtime_of_c_and_cpp(build: Path) -> None:
    listed = subprocess.run(
        [tool("readelf"), "-d", build / "libedgecnn.so"], capture_output=True, text=True, check=True
    ).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", listed))
    assert needed <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}


def test_versions_agree(library: ctypes.CDLL) -> None:
    assert library.ecnn_version().decode() == edgecnn.__version__
    (abi,) = re.findall(r"#define ECNN_ABI_VERSION (\d+)", HEADER.read_text())
    assert library.ecnn_abi_version() == int(abi)
    assert f"set(EDGECNN_ABI_VERSION {abi})" in (CSRC / "CMakeLists.txt").read_text()


@pytest.mark.parametrize("standard", ["c99", "c11", "c++11"])
def test_header_is_plain_c(standard: str, tmp_path: Path) -> None:
    language = "c++" if "+" in standard else "c"
    source = tmp_path / "use.c"
    source.write_text(
        '#include "edgecnn/edgecnn.h"\n'
        "int main(void) { ecnn_detect_options o = ECNN_DETECT_DEFAULTS; return o.size ? 0 : ecnn_abi_version(); }\n"
    )
    execute(
        tool("c++" if language == "c++" else "cc"), f"-std={standard}", "-x", language, "-pedantic-errors", "-Wall",
        "-Wextra", "-Werror", "-I", CSRC / "include", "-fsyntax-only", source,
    )  # fmt: skip


def test_cpp_header_needs_no_exceptions(tmp_path: Path) -> None:
    source = tmp_path / "use.cc"
    program = 'int main() { return ecnn::Context(ecnn::Model("x")) ? 0 : 1; }'
    source.write_text(f'#include "edgecnn/edgecnn.hpp"\n{program}\n')
    execute(
        tool("c++"), "-std=c++17", "-fno-exceptions", "-fno-rtti", "-pedantic-errors", "-Wall", "-Wextra", "-Werror",
        "-I", CSRC / "include", "-fsyntax-only", source,
    )  # fmt: skip


APPLICATION = """
#include <stdio.h>
#include "edgecnn/edgecnn.h"
int main(void) { return printf("edgecnn %s\\n", ecnn_version()) < 0; }
"""


@pytest.fixture(scope="module")
def prefix(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the library is installed."""
    folder = tmp_path_factory.mktemp("prefix")
    for component in ("runtime", "devel", "tools"):
        execute(tool("cmake"), "--install", build, "--prefix", folder, "--component", component)
    return folder


@pytest.mark.parametrize("target", ["edgecnn", "shared"])
def test_cmake_package(prefix: Path, target: str, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(APPLICATION)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(app C CXX)\nfind_package(edgecnn 0.1 REQUIRED)\n"
        f"add_executable(app main.c)\ntarget_link_libraries(app edgecnn::{target})\n"
    )
    execute(tool("cmake"), "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    execute(tool("cmake"), "--build", tmp_path / "build")
    assert edgecnn.__version__ in execute(tmp_path / "build" / "app")


@pytest.mark.parametrize("static", [False, True])
def test_pkg_config(prefix: Path, static: bool, tmp_path: Path) -> None:
    (file,) = prefix.glob("**/edgecnn.pc")
    config = tool("pkg-config")
    options = ["--cflags", "--libs", *(["--static"] if static else [])]
    flags = execute(config, *options, "edgecnn", env={"PKG_CONFIG_PATH": str(file.parent)}).split()
    (tmp_path / "main.c").write_text(APPLICATION)
    if static:
        flags = [str(file.parent.parent / "libedgecnn.a") if flag == "-ledgecnn" else flag for flag in flags]
    execute(tool("cc"), tmp_path / "main.c", "-o", tmp_path / "app", *flags)
    assert edgecnn.__version__ in execute(tmp_path / "app", env={"LD_LIBRARY_PATH": str(file.parent.parent)})


def test_add_subdirectory(tmp_path: Path) -> None:
    """Configures only: the build is the same."""
    (tmp_path / "main.c").write_text(APPLICATION)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(app C CXX)\n"
        f"add_subdirectory({CSRC} edgecnn)\nadd_executable(app main.c)\n"
        "target_link_libraries(app edgecnn::edgecnn)\n"
    )
    execute(tool("cmake"), "-S", tmp_path, "-B", tmp_path / "build")


def test_file_of_another_machine(tmp_path: Path) -> None:
    """Python refuses it with the command to make one for this machine, as C does (api_test)."""
    other = "x86-avx512" if "arm" in edgecnn_target() else "armv8"
    path = tmp_path / "other.ecnn"
    assert main(["convert", "digits", "-o", str(path), "--target", other]) == 0
    message = rf"made for target '{other}'.*edgecnn convert.*--target {edgecnn_target()}"
    with pytest.raises(ModelFormatError, match=message):
        edgecnn.load(path)


def edgecnn_target() -> str:
    from edgecnn import _core

    return str(_core.cpu_info()["target"])


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    code = "import sys; from edgecnn.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "EDGECNN_CACHE": "off", "HOME": str(tmp_path)}
    for target in ("armv8", "x86-avx2", "portable"):
        written = []
        for seed in ("1", "2"):  # of Python's hashes
            path = tmp_path / f"{seed}.ecnn"
            options = ["convert", "digits", "-o", path, "--target", target]
            execute(sys.executable, "-c", code, *options, env={**environment, "PYTHONHASHSEED": seed})
            written.append(path.read_bytes())
        assert written[0] == written[1]
