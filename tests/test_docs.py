"""The documents say what the code does."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import edgecnn

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"


def test_operators_are_those_of_the_tables():
    pytest.importorskip("onnx")
    spec = importlib.util.spec_from_file_location("make_operators", DOCS / "make_operators.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.page()
    assert module.PAGE.read_text(encoding="utf-8") == text, "run python docs/make_operators.py"


def test_every_operator_is_lowered_and_exported():
    """docs/architecture.md says that a missing row is found."""
    pytest.importorskip("edgecnn._core")
    from edgecnn.exporters.onnx_operators import EXPORTERS as TO_ONNX
    from edgecnn.exporters.tflite_operators import EXPORTERS as TO_TFLITE
    from edgecnn.graph.reference import FUNCTIONS
    from edgecnn.plan.lower_ops import LOWER

    for table in (TO_ONNX, TO_TFLITE, LOWER):
        assert set(table) == set(FUNCTIONS)


def test_paths_in_the_documents_exist():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:edgecnn|csrc|tests|models|bench|docs)/[\w./-]*)`", text))
    assert len(paths) > 20
    package = Path(edgecnn.__file__).parent.parent  # the repository, or where the package is installed
    missing = sorted(p for p in paths if not ((package if p.startswith("edgecnn/") else REPOSITORY) / p).exists())
    assert not missing


def test_the_guide_tells_what_happens(tmp_path: Path):
    """Its numbers are those of the shipped model, its boxes those of the detector, and its pictures are there."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    import edgecnn

    spec = importlib.util.spec_from_file_location("make_guide", DOCS / "make_guide.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_guide"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    found = module.steps()
    text = " ".join((DOCS / "guide.md").read_text(encoding="utf-8").split())
    anchor, row, column = found.best
    tx, ty, tw, th, to = found.raw.reshape(len(found.head.anchors), -1, *found.raw.shape[1:])[anchor, :5, row, column]
    assert f"in column {column} of row {row}" in text
    assert f"numbers are {tx:.2f}, {ty:.2f}, {tw:.2f}, {th:.2f} and {to:.2f}" in text
    x0, y0, x1, y1 = found.best_box * found.raw.shape[1]
    assert f"x = {(x0 + x1) / 2 - column:.3f} + {column}, y = {(y0 + y1) / 2 - row:.3f} + {row}" in text
    assert f"w = {x1 - x0:.3f}, h = {y1 - y0:.3f}" in text
    with edgecnn.Detector("digits") as detector:
        boxes = detector(module.PICTURE)
    np.testing.assert_allclose(found.candidates[found.kept] * 640, boxes.xyxy, atol=0.5)
    module.main(tmp_path)
    pictures = set(re.findall(r"\(guide/(\w+\.jpg)\)", text))
    assert pictures == {path.name for path in tmp_path.iterdir()} == {path.name for path in (DOCS / "guide").iterdir()}
