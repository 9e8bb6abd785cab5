"""The cache of compiled models: hits, misses, staleness, damage, limits, and disks that refuse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edgecnn
from edgecnn import plan_cache
from edgecnn.backends import compiled
from edgecnn.cli import main
from edgecnn.errors import EdgeCNNError, InputError, MemoryLimit, ModelError

WEIGHTS = Path(edgecnn.__file__).parent / "zoo" / "weights"
X = np.random.default_rng(0).random((1, 1, 28, 28), np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that takes new files too, and no model in memory."""
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "plans"))
    monkeypatch.setattr(plan_cache, "SETTLED_SECONDS", -3600.0)
    compiled._loaded.clear()
    return tmp_path / "plans"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for suffix in (".cfg", ".weights"):
        shutil.copy(WEIGHTS / f"lenet-digits{suffix}", tmp_path / f"net{suffix}")
    return tmp_path / "net.cfg"


def answer(model: Path, **options: object) -> bytes:
    with edgecnn.load(model, backend="native", **options) as predictor:  # type: ignore[arg-type]
        (result,) = predictor.run(X).values()
    return result.tobytes()


def plans(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were planned since."""
    seen: list[str] = []
    compile_graph = compiled.compile_graph

    def spy(graph, source, name=None):  # type: ignore[no-untyped-def]
        seen.append(source)
        return compile_graph(graph, source, name)

    monkeypatch.setattr(compiled, "compile_graph", spy)
    return seen


def test_a_second_load_plans_nothing_and_says_the_same(folder: Path, model: Path, planned: list[str]) -> None:
    first = answer(model)
    assert len(planned) == 1 and [p.suffix for p in plans(folder)] == [".ecnn"]
    with edgecnn.load(model, backend="native") as predictor:
        assert "lower bound" in predictor.explain()
        assert predictor.profile(X)
        assert predictor.metadata.source == str(model) and predictor.name == "net"
    assert answer(model) == first
    assert len(planned) == 1
    direct = edgecnn.load(model, backend="native", cache=False)
    (result,) = direct.run(X).values()
    assert result.tobytes() == first and len(planned) == 2


def test_predictors_of_one_model_share_its_weights(folder: Path, model: Path) -> None:
    with edgecnn.load(model, cache=False) as a, edgecnn.load(model, cache=False) as b:
        assert a._backend._context is not b._backend._context  # type: ignore[union-attr]
        assert len(compiled._loaded) == 1
        assert a.run(X).keys() == b.run(X).keys()
    del a, b
    assert not compiled._loaded


def test_whatever_changes_makes_a_new_plan(
    folder: Path, model: Path, planned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer(model)
    weights = model.with_suffix(".weights")
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-3000:-1000] = content[-2000:]
    with open(weights, "r+b") as file:  # the same inode, size and time of modification
        file.write(content)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert answer(model) != first and len(planned) == 2
    model.with_suffix(".names").write_text("".join(f"class {i}\n" for i in range(10)))
    with edgecnn.load(model) as predictor:
        assert predictor.metadata.labels[3] == "class 3"
    monkeypatch.setenv("EDGECNN_CONV", "gemm")
    answer(model)
    monkeypatch.delenv("EDGECNN_CONV")
    answer(model, input_shapes={"input": (1, 1, 28, 28)})
    assert len(planned) == 5
    monkeypatch.setattr(edgecnn, "__version__", "99")
    answer(model)
    assert len(planned) == len(plans(folder)) == 6


def test_sources_of_edgecnn_are_part_of_the_name(monkeypatch: pytest.MonkeyPatch, model: Path, folder: Path) -> None:
    name = plan_cache.name_of(str(model), None, None)
    assert name == plan_cache.name_of(str(model), None, None) is not None
    monkeypatch.setattr(plan_cache, "SOURCES", plan_cache.SOURCES[:-1])
    assert plan_cache.name_of(str(model), None, None) != name


def test_a_file_that_was_just_written_is_not_cached(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_cache, "SETTLED_SECONDS", 3600.0)
    answer(model)
    assert not plans(folder) and not compiled._loaded


def test_weights_in_further_files_are_not_cached(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.numpy_helper.from_array(np.ones((1, 4), np.float32), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])],
        "far",
        [onnx.helper.make_tensor_value_info("x", 1, [1, 4])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 4])],
        [tensor],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save_model(made, tmp_path / "far.onnx", save_as_external_data=True, location="far.bin", size_threshold=0)
    for value in (1.0, 2.0):
        (tmp_path / "far.bin").write_bytes(np.full(4, value, np.float32).tobytes())
        with edgecnn.load(tmp_path / "far.onnx", backend="native") as predictor:
            assert predictor.run(np.zeros((1, 4), np.float32))["y"].tolist() == [[value] * 4]
    assert not plans(folder)


def test_damaged_entries_are_planned_again(
    folder: Path, model: Path, planned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer(model)
    (entry,) = plans(folder)
    good = entry.read_bytes()
    for bad in (b"", good[:100], good[:-1], good[:-200] + bytes(200), b"x" * len(good)):
        entry.write_bytes(bad)
        assert answer(model) == first
        assert entry.read_bytes() == good
    assert len(planned) == 6
    middle = len(good) // 2
    entry.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    monkeypatch.setattr(plan_cache, "boot", lambda: 12345)  # the machine was booted since
    assert answer(model) == first and len(planned) == 7
    entry.write_bytes(good)  # stamped by another boot, and whole
    assert answer(model) == first and len(planned) == 7
    assert entry.read_bytes()[132:136] == (12345).to_bytes(4, "little")


def test_least_recently_used_plans_make_room(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [{"input": (n, 1, 28, 28)} for n in (1, 2, 3)]
    for shape in shapes[:2]:
        edgecnn.load(model, input_shapes=shape, backend="native").close()
    names = [plan_cache.name_of(str(model), None, shape) for shape in shapes]
    size = max(p.stat().st_size for p in plans(folder))
    for i, name in enumerate(names[:2]):
        os.utime(folder / f"{name}.ecnn", (1000 - i, 1000 - i))
    abandoned = folder / "abandoned.part"
    abandoned.write_bytes(b"x")
    os.utime(abandoned, (1, 1))
    monkeypatch.setattr(plan_cache, "LIMIT", 2 * size + size // 2)
    compiled._loaded.clear()
    edgecnn.load(model, input_shapes=shapes[2], backend="native").close()
    assert [p.stem for p in plans(folder)] == sorted(n for n in (names[0], names[2]) if n)
    for limit, free in ((size * 3 // 2, 1 << 40), (1 << 40, size)):  # neither leaves room for two
        disk = SimpleNamespace(f_bavail=free // 512, f_frsize=512)
        monkeypatch.setattr(plan_cache, "LIMIT", limit)
        monkeypatch.setattr(os, "statvfs", lambda place, disk=disk: disk)
        compiled._loaded.clear()
        for path in plans(folder):
            path.unlink()
        answer(model)
        assert not plans(folder)


@pytest.mark.parametrize("place", ["off", "/proc/no such folder", "file"])
def test_disks_that_refuse(place: str, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = answer(model, cache=False)
    if place == "file":
        place = str(model)
    monkeypatch.setenv("EDGECNN_CACHE", place)
    compiled._loaded.clear()
    assert answer(model) == expected
    assert plan_cache.entries() == []


def test_full_disk(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    expected = answer(model, cache=False)
    compiled._loaded.clear()
    create = plan_cache.create

    def on_full_disk() -> plan_cache.Draft | None:
        draft = create()
        assert draft is not None
        draft.file.close()
        draft.file = open("/dev/full", "w+b", buffering=0)  # noqa: SIM115
        return draft

    monkeypatch.setattr(plan_cache, "create", on_full_disk)
    assert answer(model) == expected
    assert not plans(folder)


def test_many_processes_at_once(folder: Path, model: Path) -> None:
    code = (
        "import sys, numpy as np, edgecnn\n"
        "from edgecnn import plan_cache\n"
        "plan_cache.SETTLED_SECONDS = -3600.0\n"
        f"x = np.random.default_rng(0).random({X.shape}, np.float32)\n"
        f"(y,) = edgecnn.load({str(model)!r}, backend='native').run(x).values()\n"
        "sys.stdout.write(y.tobytes().hex())"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {run.communicate()[0] for run in runs} == {answer(model).hex()}
    assert len(plans(folder)) == 1


def test_command(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(model)
    assert main(["cache", "list"]) == 0
    assert "1 plans" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    assert "1 plans removed" in capsys.readouterr().out
    assert not plans(folder)


def test_memory_is_known_before_and_limited(folder: Path, model: Path) -> None:
    one, two = (edgecnn.required_memory(model, threads=n) for n in (1, 2))
    assert set(one) == {"weights", "activations", "scratch"} and two["scratch"] == 2 * one["scratch"]
    total = sum(one.values())
    edgecnn.load(model, threads=1, max_memory=total).close()
    for backend in ("auto", "native"):
        with pytest.raises(MemoryLimit, match=rf"net\.cfg: needs {total} bytes .*{total - 1} bytes of max_memory"):
            edgecnn.load(model, threads=1, backend=backend, max_memory=total - 1)
    with pytest.raises(InputError, match="native"):
        edgecnn.load(model, backend="reference", max_memory=total)
    assert issubclass(MemoryLimit, EdgeCNNError)


def test_errors_are_those_of_planning(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ModelError, match="no such file"):
            edgecnn.load(tmp_path / "absent.onnx", backend="native")
