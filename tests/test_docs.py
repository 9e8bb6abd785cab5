"""The documents say what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

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
    missing = sorted(p for p in paths if not (REPOSITORY / p).exists())
    assert not missing
