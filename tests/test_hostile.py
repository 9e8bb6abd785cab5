"""Damaged and hostile model files: an importer makes a graph or raises an EdgeCNNError, soon and in little memory."""

from __future__ import annotations

import platform
import random
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgecnn import passes
from edgecnn.errors import EdgeCNNError
from edgecnn.exporters.tflite import export_tflite
from edgecnn.exporters.tflite_writer import ModelWriter
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.metadata import Metadata, YoloHead
from edgecnn.graph.ops import Function
from edgecnn.importers import import_model
from edgecnn.importers.tflite import import_tflite

# For one file; what is found takes milliseconds or minutes. A board, or its emulation, is many times slower than a PC.
SECONDS = 5.0 if platform.machine() == "x86_64" else 100.0
MEGABYTES = 1024  # that the whole process may grow by during one test
INTERESTING = (0, 1, -1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, -0x80000000, 0x10000000, 1000000)


def peak_megabytes() -> float:
    resource = pytest.importorskip("resource")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def survives(cases: Iterator[tuple[str, bytes]], load: Callable[[bytes], Graph]) -> int:
    """Loads every case, and runs the passes over what loads. Returns how many did; fails with the first bad case."""
    loaded = 0
    before = peak_megabytes()
    for label, data in cases:
        start = time.perf_counter()
        try:
            passes.run_passes(load(data))
            loaded += 1
        except EdgeCNNError as error:
            assert str(error)
        except BaseException:
            pytest.fail(f"{label}: {traceback.format_exc(limit=-6)}")
        seconds = time.perf_counter() - start
        assert seconds < SECONDS, f"{label} took {seconds:.1f} s"
        assert peak_megabytes() - before < MEGABYTES, f"{label} took {peak_megabytes() - before:.0f} MB"
    return loaded


def truncations(data: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    for i in range(count):
        size = len(data) * i // count
        yield f"cut after byte {size}", data[:size]


def flips(data: bytes, count: int, seed: int, limit: int = 0) -> Iterator[tuple[str, bytes]]:
    """One to four flipped bits, in the first *limit* bytes where one is given."""
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            bit = rng.randrange(8 * (limit or len(data)))
            damaged[bit // 8] ^= 1 << bit % 8
        yield f"flips, seed {seed}, number {i}", bytes(damaged)


def words(data: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Two words of four bytes become numbers that upset programs."""
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        damaged = bytearray(data)
        for _ in range(2):
            at = rng.randrange(0, len(data) - 3) & ~3
            struct.pack_into("<I", damaged, at, rng.choice(INTERESTING) & 0xFFFFFFFF)
        yield f"words, seed {seed}, number {i}", bytes(damaged)


def small_graph() -> Graph:
    """A network whose file is mostly structure, not weights."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> str:
        return builder.constant(rng.standard_normal(shape).astype(np.float32), "w")

    builder = GraphBuilder("small")
    x = builder.input("images", (1, 3, 8, 8))
    y = builder.add(ops.Transpose((0, 2, 3, 1)), [x])
    y = builder.add(ops.Conv(padding=(1, 1, 1, 1)), [y, weights(4, 3, 3, 3), weights(4)])
    y = builder.add(ops.Unary(Function("leaky", 0.1)), [y])
    y = builder.add(ops.Conv(padding=(1, 1, 1, 1), groups=4), [y, weights(4, 3, 3, 1), weights(4)])
    y = builder.add(ops.MaxPool((2, 2), (2, 2)), [y])
    z = builder.add(ops.Resize((8, 8)), [y])
    z = builder.add(ops.AveragePool((2, 2), (2, 2)), [z])
    y = builder.add(ops.Concat(3), [y, z])
    y = builder.add(ops.Pad((0, 1, 0, 0), (0, 1, 0, 0)), [y])
    y = builder.add(ops.Slice((0, 1, 0, 0), (1, 5, 4, 8), (1, 1, 1, 2)), [y])
    a, b = builder.add_multi(ops.Split(3, (1, 3)), [y])
    y = builder.add(ops.Binary("mul"), [b, a])
    head = builder.add(ops.Transpose((0, 3, 1, 2)), [y], "head")
    y = builder.add(ops.Reduce("mean", (1, 2), keepdims=False), [y])
    y = builder.add(ops.Dense(), [y, weights(5, 3), weights(5)])
    y = builder.add(ops.Softmax(1), [y], "scores")
    labels = tuple("abcde")
    return builder.finish([head, y], Metadata(labels=labels, heads=(YoloHead("head", "region", 5),), task="detect"))


class TestTFLite:
    data = export_tflite(small_graph())

    def test_whole(self):
        assert survives(iter([("whole", self.data)]), import_tflite) == 1

    def test_truncated(self):
        assert survives(truncations(self.data, 150), import_tflite) == 0

    def test_flipped(self):
        assert survives(flips(self.data, 300, seed=1), import_tflite) > 0

    def test_words(self):
        assert survives(words(self.data, 300, seed=2), import_tflite) > 0

    def test_real(self, data_dir):
        data = (data_dir / "tflite" / "ultraface-slim-320_without_postprocessing.tflite").read_bytes()
        assert survives(truncations(data, 20), import_tflite) == 0
        survives(flips(data, 30, seed=3), import_tflite)

    def test_huge_results(self):
        """Few bytes that ask for much: each would fill the memory if somebody computed it."""
        big = np.array([1 << 13, 1 << 13, 7], np.int32)

        def model(kind: str, *inputs: np.ndarray) -> bytes:
            writer = ModelWriter()
            x = writer.tensor("x", (1,))
            constants = [writer.constant(c, f"c{i}") for i, c in enumerate(inputs)]
            y, z = writer.tensor("y", (1,), str(inputs[-1].dtype)), writer.tensor("z", (1,))
            writer.operator(kind, constants, [y])
            writer.operator("RESHAPE", [x, y], [z])
            return writer.finish([x], [z, y], "big")

        one = np.ones((1, 1, 1), np.int32)
        numbers = [np.array(n, np.int32) for n in (0, 1 << 30, 1)]
        column = np.zeros((1 << 14, 1), np.int32)
        cases = [
            ("fill", model("FILL", big, np.array(1, np.int32))),
            ("fill of floats", model("FILL", big, np.array(1, np.float32))),
            ("broadcast", model("BROADCAST_TO", one, big)),
            ("range", model("RANGE", *numbers)),
            ("sum", model("ADD", column, column.reshape(1, -1))),
        ]
        survives(iter(cases), import_tflite)


@pytest.fixture(scope="module")
def onnx_bytes():
    pytest.importorskip("onnx")
    from edgecnn.exporters.onnx import export_onnx

    return export_onnx(small_graph())


class TestONNX:
    @staticmethod
    def load(data: bytes) -> Graph:
        from edgecnn.importers.onnx import import_onnx

        return import_onnx(data)

    def test_whole(self, onnx_bytes):
        assert survives(iter([("whole", onnx_bytes)]), self.load) == 1

    def test_truncated(self, onnx_bytes):
        survives(truncations(onnx_bytes, 150), self.load)

    def test_flipped(self, onnx_bytes):
        assert survives(flips(onnx_bytes, 300, seed=4), self.load) > 0

    def test_words(self, onnx_bytes):
        survives(words(onnx_bytes, 300, seed=5), self.load)

    def test_real(self, data_dir):
        real = (data_dir / "onnx" / "mnist-cnn-opt.onnx").read_bytes()
        survives(truncations(real, 20), self.load)
        survives(flips(real, 60, seed=6), self.load)

    def test_huge_results(self):
        onnx = pytest.importorskip("onnx")
        big = np.array([1 << 13, 1 << 13, 7], np.int64)
        column = np.zeros((1 << 14, 1), np.int64)

        def model(kind: str, *inputs: np.ndarray, **attributes: object) -> bytes:
            arrays = [onnx.numpy_helper.from_array(a, f"c{i}") for i, a in enumerate(inputs)]
            nodes = [
                onnx.helper.make_node(kind, [a.name for a in arrays], ["y"], **attributes),
                onnx.helper.make_node("Cast", ["y"], ["f"], to=1),
                onnx.helper.make_node("Mul", ["x", "f"], ["z"]),
            ]
            x = onnx.helper.make_tensor_value_info("x", 1, [1])
            z = onnx.helper.make_empty_tensor_value_info("z")
            graph = onnx.helper.make_graph(nodes, "big", [x], [z], arrays)
            return onnx.helper.make_model(graph).SerializeToString()

        one = np.ones((1, 1, 1), np.int64)
        cases = [
            ("constant", model("ConstantOfShape", big)),
            ("expand", model("Expand", one, big)),
            ("expand of floats", model("Expand", one.astype(np.float32), big)),
            ("tile", model("Tile", one, big)),
            ("range", model("Range", *(np.array(n, np.int64) for n in (0, 1 << 40, 1)))),
            ("sum", model("Add", column, column.reshape(1, -1))),
            ("pad", model("Pad", one, np.array([0, 0, 0, *big], np.int64))),
            ("one hot", model("OneHot", column, np.array(1 << 30, np.int64), np.array([0, 1], np.int64))),
            ("eye", model("EyeLike", column)),
            ("product", model("MatMul", column, column.reshape(1, -1))),
        ]
        survives(iter(cases), self.load)


CFG = """[net]
width=16
height=16
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
filters=4
size=1
activation=mish

[shortcut]
from=-2
activation=linear

[upsample]
stride=2

[route]
layers=-1,0

[reorg]
stride=2

[convolutional]
groups=2
filters=14
size=3
stride=2
pad=1
activation=linear

[region]
anchors=1.0,2.0, 3.0,4.0
num=2
classes=2
softmax=1
"""
NUMBERS = ("0", "-1", "1", "2", "3", "1000000000", "2147483647", "99999999999999999999", "1e308", "nan", "", "x", "0.5")


class TestDarknet:
    @pytest.fixture
    def load(self, tmp_path):
        """Imports the text of a .cfg with the weights that fit the undamaged one, and again with random ones."""
        cfg, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
        weights.write_bytes(self.weights())

        def load(text: bytes) -> Graph:
            cfg.write_bytes(text)
            try:
                return import_model(cfg, weights)
            except EdgeCNNError:
                return import_model(cfg, "random")

        return load

    @staticmethod
    def weights() -> bytes:
        count = (4 * 4 + 4 * 3 * 9) + (4 + 4 * 4) + (14 + 14 * 16 * 9)
        values = np.random.default_rng(0).uniform(0.1, 1, count).astype("<f4")
        return struct.pack("<3iq", 0, 2, 0, 0) + values.tobytes()

    def test_whole(self, load):
        assert survives(iter([("whole", CFG.encode())]), load) == 1

    def test_truncated(self, load):
        survives(truncations(CFG.encode(), 150), load)

    def test_flipped(self, load):
        survives(flips(CFG.encode(), 300, seed=7), load)

    def test_numbers(self, load):
        """Every value of every key in turn becomes each of the numbers that upset programs."""

        def cases() -> Iterator[tuple[str, bytes]]:
            lines = CFG.splitlines()
            for i, line in enumerate(lines):
                key, equals, _ = line.partition("=")
                for number in NUMBERS if equals else ():
                    changed = "\n".join([*lines[:i], f"{key}={number}", *lines[i + 1 :]])
                    yield f"line {i + 1}: {key}={number}", changed.encode()

        survives(cases(), load)

    def test_lines_moved(self, load):
        def cases() -> Iterator[tuple[str, bytes]]:
            for i in range(150):
                lines = CFG.splitlines()
                rng = random.Random(i)
                for _ in range(rng.randint(1, 3)):
                    line = lines.pop(rng.randrange(len(lines)))
                    if rng.random() < 0.7:
                        lines.insert(rng.randrange(len(lines)), line)
                yield f"lines moved, seed {i}", "\n".join(lines).encode()

        survives(cases(), load)

    @pytest.mark.parametrize(
        "text",
        [
            "[net]\nwidth=1\nheight=1\nchannels=500000000\n[maxpool]\nsize=1\n[softmax]\n",
            "[net]\nwidth=20000\nheight=20000\nchannels=1\n[upsample]\nstride=1000000\n",
            "[net]\nwidth=64\nheight=64\nchannels=1\n" + "[upsample]\nstride=2\n" * 5000,
            "[net]\nwidth=64\nheight=64\nchannels=1\n" + "[route]\nlayers=-1,-1\n" * 60,
            "[net]\nwidth=64\nheight=64\nchannels=1\n[dropout]\n" + "[route]\nlayers=" + "0," * 200_000 + "0\n",
            "[net]\nwidth=64\nheight=64\nchannels=3\n[convolutional]\nfilters=100000\nsize=51\npad=1\n",
            "[net]\nwidth=64\nheight=64\nchannels=3\n" + "[convolutional]\nfilters=3\nsize=1\n" * 800,
            "[net]\nwidth=8\nheight=8\nchannels=3\n[maxpool]\nsize=2000000000\nstride=1\n",
            "[" * 100_000,
            "[net]\n" + "=" * 100_000,
        ],
        ids=lambda text: text[:60].replace("\n", " "),
    )
    def test_huge(self, load, text):
        survives(iter([(text[:60], text.encode())]), load)

    def test_weights(self, tmp_path):
        cfg, path = tmp_path / "small.cfg", tmp_path / "damaged.weights"
        cfg.write_text(CFG)
        data = self.weights()

        def load(damaged: bytes) -> Graph:
            path.write_bytes(damaged)
            return import_model(cfg, path)

        assert survives(iter([("whole", data)]), load) == 1
        assert survives(truncations(data, 100), load) == 0
        survives(flips(data, 150, seed=8), load)
        survives(flips(data, 150, seed=9, limit=20), load)
        assert survives(iter([("too long", data + b"\0")]), load) == 0

    def test_real(self, data_dir, tmp_path):
        text = (data_dir / "darknet" / "yolo-fastest" / "yolo-fastest-1.1.cfg").read_bytes()
        cfg = tmp_path / "real.cfg"

        def load(damaged: bytes) -> Graph:
            cfg.write_bytes(damaged)
            return import_model(cfg, "random")

        survives(truncations(text, 20), load)
        survives(flips(text, 30, seed=10), load)
