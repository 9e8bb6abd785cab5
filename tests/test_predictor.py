"""`load` and `Predictor`: the same numbers on every backend, layouts and names as the file has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import BackendError, InputError, ModelError

WEIGHTS = Path(edgecnn.__file__).parent / "zoo" / "weights"
BACKENDS = {"native": None, "onnxruntime": "onnxruntime", "tflite": "ai_edge_litert", "reference": None}


def digits(backend: str = "native", **options: object) -> edgecnn.Predictor:
    return edgecnn.load(WEIGHTS / "digits.cfg", WEIGHTS / "digits.weights", backend=backend, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["digits", "lenet-digits"])
def test_same_numbers_on_every_backend(name: str, backend: str) -> None:
    if BACKENDS[backend]:
        pytest.importorskip(BACKENDS[backend])
    files = WEIGHTS / f"{name}.cfg", WEIGHTS / f"{name}.weights"
    with edgecnn.load(*files, backend="reference") as oracle, edgecnn.load(*files, backend=backend) as predictor:
        assert predictor.backend == backend and predictor.name == name
        assert predictor.inputs == oracle.inputs and predictor.outputs == oracle.outputs
        x = np.random.default_rng(0).random(predictor.inputs[0].shape, np.float32)
        expected, got = oracle.run(x), predictor.run({predictor.inputs[0].name: x})
        assert list(got) == list(expected)
        for key, array in expected.items():
            np.testing.assert_allclose(got[key], array, rtol=1e-4, atol=1e-4 * float(np.abs(array).max()))


def test_layout_and_shapes_are_those_of_the_file() -> None:
    with digits() as predictor:
        assert predictor.inputs[0].shape == (1, 3, 224, 224) and predictor.inputs[0].dtype == np.float32
        assert [s.shape for s in predictor.outputs] == [(1, 75, 7, 7)]


def test_input_shapes() -> None:
    with digits(input_shapes={"input": (2, 3, 160, 192)}) as predictor:
        assert predictor.inputs[0].shape == (2, 3, 160, 192)
        x = np.random.default_rng(0).random((2, 3, 160, 192), np.float32)
        both = predictor.run(x)
    # Two pictures may get another convolution algorithm than one.
    with digits(input_shapes={"input": (1, 3, 160, 192)}) as predictor:
        for i in range(2):
            for name, array in predictor.run(x[i : i + 1]).items():
                np.testing.assert_allclose(array[0], both[name][i], rtol=0, atol=1e-5 * float(np.abs(array).max()))


def test_arrays_without_order_are_taken() -> None:
    with digits() as predictor:
        x = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
        strange = np.asfortranarray(x)
        for name, array in predictor.run(strange).items():
            np.testing.assert_array_equal(array, predictor.run(x)[name])


def test_outputs_are_the_callers_own() -> None:
    with digits() as predictor:
        x = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
        (first,) = predictor.run(x).values()
        kept = first.copy()
        predictor.run(x * 0.5)
        np.testing.assert_array_equal(first, kept)


def test_profile_and_explain() -> None:
    with digits() as predictor:
        rows = predictor.profile(np.zeros((1, 3, 224, 224), np.float32))
        assert abs(sum(r.mflop for r in rows) - 478.8) < 1
        assert "arena" in predictor.explain()
    with digits("reference") as predictor, pytest.raises(BackendError, match="native"):
        predictor.explain()


def test_compiled_models_take_no_options(tmp_path: Path) -> None:
    from edgecnn.importers import import_model
    from edgecnn.passes import run_passes
    from edgecnn.plan import build_plan

    graph = run_passes(import_model(WEIGHTS / "digits.cfg", WEIGHTS / "digits.weights"))
    file = tmp_path / "digits.ecnn"
    build_plan(graph).save(file)
    with edgecnn.load(file) as predictor:
        assert predictor.metadata.heads[0].kind == "region"
    with pytest.raises(InputError, match="native"):
        edgecnn.load(file, backend="onnxruntime")
    with pytest.raises(InputError, match="convert"):
        edgecnn.load(file, input_shapes={"input": (1, 3, 64, 64)})
    with pytest.raises(ModelError, match="absent"):
        edgecnn.load(tmp_path / "absent.ecnn")


def test_auto_says_when_it_falls_back(data_dir: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    file = data_dir / "tflite" / "resnet8-cifar10-int8.tflite"
    with pytest.warns(UserWarning, match="int8"), edgecnn.load(file) as predictor:
        assert predictor.backend == "tflite"
