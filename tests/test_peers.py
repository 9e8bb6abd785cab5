"""ncnn and OpenCV's dnn module beside edgecnn: the same answers, or a reason."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecnn
from edgecnn.benchmark import peers
from edgecnn.benchmark.measure import difference
from edgecnn.benchmark.ncnn_model import NcnnModel
from edgecnn.benchmark.runner import Job
from edgecnn.errors import BackendError, InputError, MissingDependency, UnsupportedOperator
from edgecnn.importers import import_model

NET = (
    "[net]\nwidth=20\nheight=24\nchannels=3\n"
    "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\nbatch_normalize=1\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=8\ngroups=8\nsize=3\npad=1\nactivation=mish\n"
    "[shortcut]\nfrom=-2\nactivation=linear\n"
    "[maxpool]\nsize=2\nstride=1\n"
    "[convolutional]\nfilters=6\nsize=3\nstride=2\npad=1\nactivation=swish\n"
    "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    "[upsample]\nstride=2\n"
    "[route]\nlayers=-1,-4\n"
)
ENDS = {
    "map": "[convolutional]\nfilters=5\nsize=1\nactivation=logistic\n",
    "vector": "[connected]\noutput=7\nactivation=relu\n[connected]\noutput=5\nactivation=linear\n[softmax]\n",
    "mean": "[avgpool]\n[softmax]\n",
}


@pytest.fixture(params=ENDS)
def net(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "net.cfg"
    path.write_text(NET + ENDS[request.param])
    return str(path)


def outputs(predictor: edgecnn.Predictor) -> dict[str, np.ndarray]:
    feed = {s.name: np.random.default_rng(3).random(s.shape, np.float32) for s in predictor.inputs}
    return predictor.run(feed)


@pytest.mark.parametrize(("peer", "package"), [("ncnn", "ncnn"), ("opencv-dnn", "cv2")])
def test_the_same_answers(peer: str, package: str, net: str) -> None:
    pytest.importorskip(package)
    pytest.importorskip("onnx")
    found = outputs(peers.load(Job(net, "random", peer, 1)))
    assert difference(outputs(edgecnn.load(net, weights="random")), found) < 1e-5


def test_what_ncnn_reads(net: str) -> None:
    model = NcnnModel(import_model(net, "random"))
    magic, counts, *layers = model.param.splitlines()
    words = [line.split() for line in layers]
    assert magic == "7767517"
    made = [blob for w in words for blob in w[4 + int(w[2]) : 4 + int(w[2]) + int(w[3])]]
    read = [blob for w in words for blob in w[4 : 4 + int(w[2])]]
    assert counts == f"{len(words)} {len(made)}" and len(set(made)) == len(made)
    assert len(set(read)) == len(read) and set(read) <= set(made)  # a Split wherever two read one
    assert set(made) - set(read) == {model.blobs[name] for name in import_model(net, "random").outputs}
    assert len(model.weights) % 4 == 0


def test_files_beside_the_model_come_first(tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    path = tmp_path / "net.cfg"
    path.write_text(NET + ENDS["map"])
    model = NcnnModel(import_model(path, "random"))
    (tmp_path / "net.ncnn.param").write_text(model.param)
    (tmp_path / "net.ncnn.bin").write_bytes(model.weights)
    found = peers.load(Job(str(path), "random", "ncnn", 1))
    assert difference(outputs(edgecnn.load(path, weights="random")), outputs(found)) < 1e-5
    (tmp_path / "net.ncnn.param").write_text("7767517\n2 2\nInput a 0 1 a\nInput b 0 1 b\n")
    with pytest.raises(BackendError, match="not the inputs and outputs"):
        peers.load(Job(str(path), "random", "ncnn", 1))


def test_what_is_not_written_for_ncnn(tmp_path: Path) -> None:
    path = tmp_path / "net.cfg"
    path.write_text(
        "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=1\nactivation=selu\n[avgpool]\n"
    )
    with pytest.raises(UnsupportedOperator, match="selu is not among what is written for ncnn"):
        NcnnModel(import_model(path, "random"))


@pytest.mark.parametrize(
    ("peer", "package", "says"), [("ncnn", "ncnn", "pip install ncnn"), ("opencv-dnn", "cv2", "vision")]
)
def test_a_peer_that_is_not_installed(
    peer: str, package: str, says: str, net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=says):
        peers.load(Job(net, "random", peer, 1))


def test_a_compiled_model_runs_on_no_peer() -> None:
    with pytest.raises(InputError, match="native backend only"):
        peers.load(Job("model.ecnn", None, "ncnn", 1))
