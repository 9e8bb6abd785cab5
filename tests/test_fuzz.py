"""What fuzzing has found stays fixed, and the fuzz targets work: seeds and regression files, once each."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from native_build import execute, native_build

FOLDER = Path(__file__).parent / "fuzz"
REGRESSIONS = sorted((FOLDER / "regressions").glob("*/*"))


@pytest.fixture(scope="module")
def targets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_targets", FOLDER / "targets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("target", ["onnx", "tflite", "darknet", "weights", "annotations"])
def test_importers(targets: ModuleType, target: str) -> None:
    if target == "onnx":
        pytest.importorskip("onnx")
    check = targets.FUNCTIONS[target]
    for content in targets.seeds(target):
        check(content)
    for file in REGRESSIONS:
        if file.parent.name == target:
            check(file.read_bytes())


def test_compiled_models(targets: ModuleType, tmp_path: Path) -> None:
    files = [file for file in REGRESSIONS if file.parent.name == "ecnn"]
    for i, content in enumerate(targets.seeds("ecnn")):
        files.append(tmp_path / str(i))
        files[-1].write_bytes(content)
    printed = execute(native_build("fuzz_ecnn") / "fuzz_ecnn", *files)
    assert printed == f"{len(files)} files\n"
