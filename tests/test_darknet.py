"""The Darknet importer: rules of each section, the weight file, and whole networks against an independent reader."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import InputError, ModelError, ModelFormatError, UnsupportedOperator
from edgecnn.graph import ops, reference
from edgecnn.graph.dump import summary
from edgecnn.graph.ir import Graph
from edgecnn.importers import import_model
from edgecnn.zoo.labels import COCO, VOC

NET = "[net]\nwidth=8\nheight=8\nchannels=2\n"


def imported(folder: Path, sections: str, net: str = NET, weights: Any = "random", **options: Any) -> Graph:
    cfg = folder / "net.cfg"
    cfg.write_text(net + sections)
    return import_model(cfg, weights, **options)


def write_weights(path: Path, values: np.ndarray, version: tuple[int, int, int] = (0, 2, 5)) -> Path:
    counter = "<Q" if version[0] * 10 + version[1] >= 2 and max(version[:2]) < 1000 else "<I"
    path.write_bytes(struct.pack("<3i", *version) + struct.pack(counter, 0) + values.astype("<f4").tobytes())
    return path


def run(graph: Graph, x: np.ndarray) -> np.ndarray:
    (out,) = reference.run(graph, {"input": x}, np.float64).values()
    return out


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape or (1, 2, 8, 8)).astype(np.float32)


class TestSections:
    """Each section's output, computed here from Darknet's own loops."""

    def test_convolution(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).standard_normal(4 + 4 * 1 * 3 * 3).astype(np.float32)
        weights = write_weights(tmp_path / "w.weights", values)
        graph = imported(
            tmp_path,
            "[convolutional]\nfilters=4\nsize=3\ngroups=2\nstride_x=2\nstride_y=1\npad=1\nactivation=leaky\n",
            weights=weights,
        )
        x = picture()
        padded = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
        bias, w = values[:4], values[4:].reshape(4, 3, 3)
        expected = np.zeros((4, 8, 4))
        for f in range(4):
            for i in range(8):
                for j in range(4):
                    expected[f, i, j] = (padded[f // 2, i : i + 3, 2 * j : 2 * j + 3] * w[f]).sum() + bias[f]
        expected = np.where(expected > 0, expected, 0.1 * expected)
        np.testing.assert_allclose(run(graph, x)[0], expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("version", [(0, 1, 0), (0, 2, 5)])
    def test_batch_norm_of_both_versions(self, tmp_path: Path, version: tuple[int, int, int]) -> None:
        bias, scale, mean, variance = (np.array(v, np.float32) for v in ([0.5], [2], [0.25], [1e-6]))
        values = np.concatenate([bias, scale, mean, variance, [1.0, 1.0]])
        weights = write_weights(tmp_path / "w.weights", values, version)
        graph = imported(tmp_path, "[conv]\nbatch_normalize=1\nactivation=linear\n", weights=weights)
        x = picture()
        deviation = np.sqrt(variance) + 1e-6 if version == (0, 1, 0) else np.sqrt(variance + 1e-5)
        expected = (x.sum(axis=1, keepdims=True, dtype=np.float64) - mean) / deviation * scale + bias
        np.testing.assert_allclose(run(graph, x), expected, rtol=1e-5)

    def test_dilation_keeps_the_size(self, tmp_path: Path) -> None:
        graph = imported(tmp_path, "[convolutional]\nfilters=3\nsize=3\npad=1\ndilation=2\nactivation=linear\n")
        assert graph.output_specs[0].shape == (1, 3, 8, 8)
        conv = next(node.op for node in graph.nodes if isinstance(node.op, ops.Conv))
        assert conv.padding == (2, 2, 2, 2) and conv.dilations == (2, 2)

    @pytest.mark.parametrize(
        ("size", "stride", "length", "expected", "before"),
        [(2, 2, 8, 4, 0), (2, 2, 7, 4, 0), (2, 1, 8, 8, 0), (3, 2, 8, 4, 1), (3, 1, 8, 8, 1), (5, 1, 8, 8, 2)],
    )
    def test_max_pool_padding(
        self, tmp_path: Path, size: int, stride: int, length: int, expected: int, before: int
    ) -> None:
        net = f"[net]\nwidth={length}\nheight={length}\nchannels=2\n"
        graph = imported(tmp_path, f"[maxpool]\nsize={size}\nstride={stride}\n", net)
        x = picture(1, 2, length, length)
        out = np.full((2, expected, expected), -np.inf)
        for i in range(expected):
            for j in range(expected):
                y, z = i * stride - before, j * stride - before
                out[:, i, j] = x[0, :, max(y, 0) : y + size, max(z, 0) : z + size].max(axis=(1, 2))
        np.testing.assert_array_equal(run(graph, x)[0], out)

    def test_connected_flattens_channels_first(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).standard_normal(3 + 3 * 128).astype(np.float32)
        weights = write_weights(tmp_path / "w.weights", values)
        graph = imported(tmp_path, "[connected]\noutput=3\nactivation=linear\n", weights=weights)
        x = picture()
        expected = values[3:].reshape(3, 128).astype(np.float64) @ x.reshape(-1) + values[:3]
        np.testing.assert_allclose(run(graph, x)[0], expected, rtol=1e-6)

    def test_connected_transposed_by_version(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).standard_normal(3 + 128 * 3).astype(np.float32)
        weights = write_weights(tmp_path / "w.weights", values, (0, 1001, 0))
        graph = imported(tmp_path, "[connected]\noutput=3\nactivation=linear\n", weights=weights)
        x = picture()
        expected = x.reshape(-1).astype(np.float64) @ values[3:].reshape(128, 3) + values[:3]
        np.testing.assert_allclose(run(graph, x)[0], expected, rtol=1e-6)

    def test_connected_batch_norm_comes_after_the_weights(self, tmp_path: Path) -> None:
        values = np.concatenate([[0.5], np.ones(128), [2.0], [0.25], [4.0]])
        weights = write_weights(tmp_path / "w.weights", values, (0, 1, 0))
        graph = imported(tmp_path, "[connected]\noutput=1\nbatch_normalize=1\nactivation=linear\n", weights=weights)
        x = picture()
        expected = (x.sum(dtype=np.float64) - 0.25) / (2 + 1e-6) * 2 + 0.5
        np.testing.assert_allclose(run(graph, x)[0, 0], expected, rtol=1e-6)

    def test_route_joins_and_cuts(self, tmp_path: Path) -> None:
        sections = "[dropout]\n[maxpool]\nsize=1\n[route]\nlayers=-1,0\ngroups=2\ngroup_id=1\n[route]\nlayers=-1,1\n"
        x = picture()
        expected = np.concatenate([x[:, 1:], x[:, 1:], x], axis=1)
        np.testing.assert_array_equal(run(imported(tmp_path, sections), x), expected)

    def test_shortcut(self, tmp_path: Path) -> None:
        sections = "[dropout]\n[maxpool]\nsize=3\n[shortcut]\nfrom=-2\nactivation=relu\n"
        x = picture()
        pooled = run(imported(tmp_path, "[maxpool]\nsize=3\n"), x)
        np.testing.assert_allclose(run(imported(tmp_path, sections), x), np.maximum(x + pooled, 0), rtol=1e-6)

    @pytest.mark.parametrize("filters", [1, 2, 4])
    def test_shortcut_of_another_shape(self, tmp_path: Path, filters: int) -> None:
        conv = f"[convolutional]\nfilters={filters}\nsize=1\nstride=2\nactivation=linear\n"
        x = picture()
        out = run(imported(tmp_path, conv), x)[0]
        for k in range(min(filters, 2)):  # shortcut_cpu: every second cell, the channels that both have
            out[k] += x[0, k, ::2, ::2]
        both = run(imported(tmp_path, f"[dropout]\n{conv}[shortcut]\nfrom=-2\n"), x)
        np.testing.assert_allclose(both[0], out, rtol=1e-6, atol=1e-7)

    def test_scale_channels(self, tmp_path: Path) -> None:
        x = picture()
        scaled = run(imported(tmp_path, "[dropout]\n[avgpool]\n[scale_channels]\nfrom=0\n"), x)
        np.testing.assert_allclose(scaled, x * x.mean(axis=(2, 3), keepdims=True, dtype=np.float64), rtol=1e-6)

    def test_upsample(self, tmp_path: Path) -> None:
        x = picture()
        out = run(imported(tmp_path, "[upsample]\nstride=2\nscale=.5\n"), x)
        np.testing.assert_allclose(out, x.repeat(2, axis=2).repeat(2, axis=3) * 0.5)

    @pytest.mark.parametrize(("channels", "size", "stride"), [(64, 26, 2), (4, 8, 2), (9, 6, 3), (8, 8, 1)])
    def test_reorg(self, tmp_path: Path, channels: int, size: int, stride: int) -> None:
        net = f"[net]\nwidth={size}\nheight={size}\nchannels={channels}\n"
        x = np.arange(channels * size * size, dtype=np.float32)
        out = np.empty_like(x)
        depth = channels // stride**2
        for k in range(channels):  # reorg_cpu with forward = 0
            for j in range(size):
                for i in range(size):
                    c2, offset = k % depth, k // depth
                    w2, h2 = i * stride + offset % stride, j * stride + offset // stride
                    out[i + size * (j + size * k)] = x[w2 + size * stride * (h2 + size * stride * c2)]
        graph = imported(tmp_path, f"[reorg]\nstride={stride}\n", net)
        shape = (1, channels * stride**2, size // stride, size // stride)
        np.testing.assert_array_equal(run(graph, x.reshape(1, channels, size, size)), out.reshape(shape))

    def test_crop(self, tmp_path: Path) -> None:
        x = picture()
        out = run(imported(tmp_path, "[crop]\ncrop_height=5\ncrop_width=6\n"), x)
        np.testing.assert_allclose(out, x[:, :, 1:6, 1:7] * 2 - 1, rtol=1e-6)
        plain = run(imported(tmp_path, "[crop]\ncrop_height=5\ncrop_width=6\nnoadjust=1\n"), x)
        np.testing.assert_array_equal(plain, x[:, :, 1:6, 1:7])

    def test_softmax_over_groups(self, tmp_path: Path) -> None:
        x = picture()
        out = run(imported(tmp_path, "[softmax]\ngroups=4\ntemperature=2\n"), x)
        e = np.exp(x.reshape(4, 32).astype(np.float64) / 2)
        np.testing.assert_allclose(out, (e / e.sum(axis=1, keepdims=True)).reshape(1, 128), rtol=1e-6)

    def test_batchnorm_section(self, tmp_path: Path) -> None:
        values = np.array([1, 2, 3, 4, 5, 6, 7, 8], np.float32)
        graph = imported(tmp_path, "[batchnorm]\n", weights=write_weights(tmp_path / "w.weights", values))
        x = picture()
        bias, scale, mean, variance = values.reshape(4, 1, 2, 1, 1).astype(np.float64)
        np.testing.assert_allclose(run(graph, x), (x - mean) / np.sqrt(variance + 1e-5) * scale + bias, rtol=1e-5)

    @pytest.mark.parametrize(
        ("name", "function"),
        [
            ("linear", lambda x: x),
            ("leaky", lambda x: np.where(x > 0, x, 0.1 * x)),
            ("relu", lambda x: np.maximum(x, 0)),
            ("relu6", lambda x: np.clip(x, 0, 6)),
            ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
            ("selu", lambda x: 1.0507 * np.where(x > 0, x, 1.6732 * np.expm1(x))),
            ("logistic", lambda x: 1 / (1 + np.exp(-x))),
            ("tanh", np.tanh),
            ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
            ("swish", lambda x: x / (1 + np.exp(-x))),
            ("hardtan", lambda x: np.clip(x, -1, 1)),
        ],
    )
    def test_activations(self, tmp_path: Path, name: str, function: Any) -> None:
        x = picture() * 4
        out = run(imported(tmp_path, f"[activation]\nactivation={name}\n"), x)
        np.testing.assert_allclose(out, function(x.astype(np.float64)), rtol=1e-6, atol=1e-7)

    def test_default_activation_is_logistic(self, tmp_path: Path) -> None:
        graph = imported(tmp_path, "[convolutional]\n")
        assert [n.op.function.kind for n in graph.nodes if isinstance(n.op, ops.Unary)] == ["sigmoid"]


class TestHeads:
    def test_yolo(self, tmp_path: Path) -> None:
        sections = (
            "[convolutional]\nfilters=14\nactivation=linear\n"
            "[yolo]\nmask=2,0\nanchors=1,2, 3,4, 5,6\nnum=3\nclasses=2\nscale_x_y=1.05\nnew_coords=1\n"
        )
        graph = imported(tmp_path, sections)
        assert graph.outputs == ("yolo_1",) and graph.output_specs[0].shape == (1, 14, 8, 8)
        (head,) = graph.metadata.heads
        assert (head.output, head.kind, head.classes) == ("yolo_1", "yolo", 2)
        assert head.anchors == ((5, 6), (1, 2)) and head.scale_xy == 1.05 and head.new_coords
        assert graph.metadata.task == "detect" and graph.metadata.labels == ("class 0", "class 1")

    def test_detection(self, tmp_path: Path) -> None:
        sections = (
            "[connected]\noutput=44\nactivation=linear\n[detection]\nclasses=1\ncoords=4\nside=2\nnum=2\nsqrt=1\n"
        )
        graph = imported(tmp_path, sections)
        (head,) = graph.metadata.heads
        assert graph.output_specs[0].shape == (1, 44)
        assert (head.side, head.boxes, head.sqrt, head.softmax, head.classes) == (2, 2, True, False, 1)

    def test_labels(self, tmp_path: Path) -> None:
        region = "[convolutional]\nfilters=7\nactivation=linear\n[region]\nclasses=2\nnum=1\nanchors=1,1\n"
        (tmp_path / "net.names").write_text("cat\ndog\n\n")
        assert imported(tmp_path, region).metadata.labels == ("cat", "dog")
        (tmp_path / "net.names").write_text("cat\n")
        with pytest.raises(ModelFormatError, match=r"1 names, but net\.cfg has 2 classes"):
            imported(tmp_path, region)

    def test_classifier(self, tmp_path: Path) -> None:
        graph = imported(tmp_path, "[connected]\noutput=3\nactivation=relu\n[dropout]\n[softmax]\n[cost]\n")
        assert graph.outputs == ("softmax_2",) and graph.output_specs[0].shape == (1, 3)
        assert graph.metadata.task == "classify" and graph.metadata.heads == ()


class TestInput:
    def test_size_and_batch_change(self, tmp_path: Path) -> None:
        sections = "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=relu\n[reorg]\nstride=1\n"
        one = imported(tmp_path, sections)
        graph = imported(tmp_path, sections, input_shapes={"input": (2, 2, 8, 8)})
        x = picture(2, 2, 8, 8)
        expected = np.concatenate([run(one, x[:1]), run(one, x[1:])])
        np.testing.assert_allclose(run(graph, x), expected, rtol=1e-6)

    @pytest.mark.parametrize("shapes", [{"images": (1, 2, 8, 8)}, {"input": (1, 3, 8, 8)}, {"input": (0, 2, 8, 8)}])
    def test_refused_shapes(self, tmp_path: Path, shapes: Any) -> None:
        with pytest.raises(InputError, match="input"):
            imported(tmp_path, "[softmax]\n", input_shapes=shapes)

    def test_random_weights_are_seeded(self, tmp_path: Path) -> None:
        def weights(name: str) -> np.ndarray:
            graph = imported(tmp_path, "[convolutional]\nfilters=64\nsize=3\n", weights=name)
            return graph.constants["convolutional_0.weights"]

        assert np.array_equal(weights("random"), weights("random:0"))
        assert not np.array_equal(weights("random"), weights("random:1"))
        assert abs(weights("random").std() - (2 / 18) ** 0.5) < 0.02
        with pytest.raises(InputError, match="seed"):
            weights("random:many")


class TestRefusals:
    @pytest.mark.parametrize(
        ("sections", "mentions"),
        [
            ("[convolutional]\nfilters=0\n", r"net\.cfg:7: .*filters=0"),
            ("[convolutional]\n\nsize=3.5\n", r"net\.cfg:8: .*3\.5: not an integer"),
            ("[convolutional]\nfilters=3\ngroups=2\n", "groups=2"),
            ("[convolutional]\nsize=9\n", "does not fit"),
            ("[maxpool]\nsize=20\npadding=0\n", "does not fit"),
            ("[maxpool]\nsize=2000000000\n", "window of 2000000000"),
            ("[dropout]\n[route]\nlayers=" + "0," * 1001 + "\n", "lists 1001 values"),
            ("[route]\n", "layers= is missing"),
            ("[shortcut]\n", "from= is missing"),
            ("[route]\nlayers=-1\n", "layer -1 does not come before"),
            ("[dropout]\n[route]\nlayers=1\n", "layer 1 does not come before"),
            ("[dropout]\n[route]\nlayers=0\ngroups=2\ngroup_id=2\n", "group_id=2"),
            ("[dropout]\n[maxpool]\nstride=2\n[route]\nlayers=0,1\n", "differ"),
            ("[reorg]\nstride=2\n", "cannot be reorganised"),
            ("[region]\nclasses=2\nnum=1\nanchors=1,1\n", "need 7 channels, but the layer before has 2"),
            ("[conv]\nfilters=7\n[region]\nclasses=2\nnum=1\nanchors=1\n", "pairs of positive"),
            ("[conv]\nfilters=7\n[yolo]\nclasses=2\nmask=3\nanchors=1,1\n", "mask=3 of 1 anchors"),
            ("[conv]\nfilters=7\n[yolo]\nclasses=2\nmask=0\nanchors=1,1\n[conv]\n", "reads a detection layer"),
            ("[detection]\ncoords=4\n", "numbers, there are 128"),
            ("[softmax]\ngroups=3\n", "groups=3"),
            ("[softmax]\ntemperature=nan\n", "not a finite number"),
            ("[conv]\nfilters=99999999999\n", "99999999999"),
            ("[conv]\nfilters=1000000000\nsize=3\n", "1000000000"),
            ("[connected]\noutput=100000\n[connected]\noutput=100000\n", "parameters, over"),
            ("[conv\n", "not a section name"),
            ("[conv]\nfilters\n", "not key=value"),
        ],
    )
    def test_malformed(self, tmp_path: Path, sections: str, mentions: str) -> None:
        with pytest.raises(ModelFormatError, match=mentions):
            imported(tmp_path, "\n" + sections)

    @pytest.mark.parametrize(
        ("sections", "mentions"),
        [
            ("[local]\n", r"\[local\]"),
            ("[convolution]\n", r"\[convolution\]"),
            ("[convolutional]\nactivation=ramp\n", "activation=ramp"),
            ("[convolutional]\nxnor=1\n", "xnor=1"),
            ("[maxpool]\nmaxpool_depth=1\n", "maxpool_depth"),
            ("[dropout]\n[dropout]\n[shortcut]\nfrom=-2\nweights_type=per_channel\n", "weighted"),
            ("[softmax]\ntree=9k.tree\n", "tree"),
            ("[reorg]\nreverse=1\n", "reverse"),
            ("[maxpool]\nstride=2\n[dropout]\n[upsample]\n[shortcut]\nfrom=0\n", "adds a map"),
        ],
    )
    def test_unsupported(self, tmp_path: Path, sections: str, mentions: str) -> None:
        with pytest.raises(UnsupportedOperator, match=mentions):
            imported(tmp_path, sections)

    @pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "[convolutional]\n", "width=3\n", NET])
    def test_no_network(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ModelFormatError, match=r"net\.cfg"):
            imported(tmp_path, "", text)

    def test_absent_files(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such file"):
            import_model(tmp_path / "absent.cfg")
        with pytest.raises(ModelError, match=r"no net\.weights beside it"):
            imported(tmp_path, "[softmax]\n", weights=None)
        with pytest.raises(ModelError, match="no such file"):
            imported(tmp_path, "[softmax]\n", weights=tmp_path / "absent.weights")

    @pytest.mark.parametrize(
        ("name", "content", "mentions"),
        [
            ("a.cfg", b"\x08\x07\x00\x00binary", "binary"),
            ("a.onnx", b"[net]\nwidth=8\n", "text"),
            ("a.onnx", b"<!DOCTYPE html><html>", "web page"),
            ("a.tflite", b"\x08\x07\x12\x07pytorch", "TFL3"),
            ("a.onnx", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
            ("a.onnx", b"", "empty"),
            ("a.weights", b"", "give the .cfg"),
            ("a.ecnn", b"", "native"),
            ("a.pth", b"", "unknown kind"),
        ],
    )
    def test_another_kind_of_file(self, tmp_path: Path, name: str, content: bytes, mentions: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=mentions):
            import_model(tmp_path / name)


class TestWeightFile:
    SECTIONS = "[convolutional]\nfilters=3\nbatch_normalize=1\nactivation=leaky\n"  # 3 + 9 + 6 floats

    @pytest.mark.parametrize(
        ("count", "mentions"),
        [
            (17, "holds 17 floats .* needs 18: the file is cut short"),
            (20, "holds 20 floats .* needs 18: the .cfg is cut short"),
            (9, "batch_normalize=0 in every layer, which needs 9"),
            (0, "holds 0 floats"),
        ],
    )
    def test_wrong_count(self, tmp_path: Path, count: int, mentions: str) -> None:
        weights = write_weights(tmp_path / "w.weights", np.zeros(count))
        with pytest.raises(ModelFormatError, match=mentions):
            imported(tmp_path, self.SECTIONS, weights=weights)

    def test_missing_batch_norm_in_cfg(self, tmp_path: Path) -> None:
        weights = write_weights(tmp_path / "w.weights", np.zeros(18))
        sections = self.SECTIONS.replace("batch_normalize=1", "batch_normalize=0")
        with pytest.raises(ModelFormatError, match="batch_normalize=1 in every layer"):
            imported(tmp_path, sections, weights=weights)

    @pytest.mark.parametrize("size", [0, 3, 11, 15, 21])
    def test_header_cut(self, tmp_path: Path, size: int) -> None:
        weights = write_weights(tmp_path / "w.weights", np.zeros(18))
        weights.write_bytes(weights.read_bytes()[:size])
        with pytest.raises(ModelFormatError, match=r"w\.weights"):
            imported(tmp_path, self.SECTIONS, weights=weights)

    def test_not_finite(self, tmp_path: Path) -> None:
        values = np.zeros(18)
        values[12] = np.nan
        weights = write_weights(tmp_path / "w.weights", values)
        with pytest.raises(ModelFormatError, match=r"1 of the 6 weights .*convolutional.*layer 0.* not finite"):
            imported(tmp_path, self.SECTIONS, weights=weights)

    def test_text_as_weights(self, tmp_path: Path) -> None:
        weights = tmp_path / "w.weights"
        weights.write_text("\xff" * 100, encoding="latin-1")
        with pytest.raises(ModelFormatError, match="not a Darknet weights file"):
            imported(tmp_path, self.SECTIONS, weights=weights)


def test_damaged_files_never_crash(tmp_path: Path) -> None:
    """Truncated and altered copies of a network that uses most sections: a ModelError or a graph."""
    sections = (
        "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n[maxpool]\nsize=2\nstride=2\n"
        "[convolutional]\nfilters=4\ngroups=2\nactivation=mish\n[shortcut]\nfrom=-2\n[upsample]\nstride=2\n"
        "[route]\nlayers=-1,0\n[reorg]\nstride=2\n[convolutional]\nfilters=14\nactivation=linear\n"
        "[yolo]\nmask=0,1\nanchors=1,2,3,4\nclasses=2\n"
    )
    text = NET + sections
    imported(tmp_path, sections)
    generator = np.random.default_rng(7)
    alphabet = "0123456789-=,[]#\n.abz\0\xff"
    for _ in range(300):
        damaged = list(text[: generator.integers(1, len(text) + 1)])
        for _ in range(generator.integers(0, 4)):
            damaged[generator.integers(len(damaged))] = alphabet[generator.integers(len(alphabet))]
        try:
            imported(tmp_path, "", "".join(damaged))
        except ModelError as error:
            assert "net.cfg" in str(error)


# (file, weights, floats, MFLOP) of the data folder's README; the README leaves out a part of yoloface's 108.9 MFLOP.
TRAINED = [
    ("yolo-lite/tiny-yolov2-trial3-noBatch", None, 572317, 480.0),
    ("yolo-lite/tiny-yolov2-trial3", None, 574189, 480.0),
    ("yolo-lite/tiny-yolov2-trial6", None, 574189, 480.0),
    ("yolo-lite/tiny-yolov2-trial9", None, 572317, 877.3),
    ("yolo-lite/tiny-yolov2-trial10", None, 572317, 1655.5),
    ("yolo-lite/coco-trial6", "yolo-lite/coco-trial6_653550.weights", 649417, 487.5),
    ("yolo-fastest/yolo-fastest-1.1", None, 346062, 250.9),
    ("yolo-fastest/yolo-fastest-1.1-xl", None, 923486, 723.4),
    ("mobilenet-yolo/MobileNetV2-YOLOv3-Nano-voc", None, 769750, 494.2),
    ("mobilenet-yolo/yoloface-500k-v2", None, 104624, 108.9),
]
CFG_ONLY = [
    ("yolov2-tiny-voc", 15867885, 6971),
    ("yolov2-tiny", 11237145, 5406),
    ("yolov3-tiny", 8858734, 5565),
    ("yolov4-tiny", 6062814, 6908),
    ("yolov1-tiny", 27099950, 3216),
]


def floats_in_file(graph: Graph) -> int:
    """Parameters as Darknet counts them: batch norm replaces the convolution's own bias, which we add as zeros."""
    normalized = {node.inputs[0] for node in graph.nodes if isinstance(node.op, ops.BatchNorm)}
    zeros = sum(
        graph.values[node.inputs[2]].size
        for node in graph.nodes
        if isinstance(node.op, (ops.Conv, ops.Dense)) and node.outputs[0] in normalized
    )
    return sum(array.size for array in graph.constants.values()) - zeros


@pytest.mark.parametrize(("stem", "weights", "floats", "mflop"), TRAINED, ids=[row[0] for row in TRAINED])
def test_trained_networks(data_dir: Path, stem: str, weights: str | None, floats: int, mflop: float) -> None:
    folder = data_dir / "darknet"
    graph = import_model(folder / f"{stem}.cfg", folder / weights if weights else None)
    assert floats_in_file(graph) == floats
    assert summary(graph)["totals"]["flops"] / 1e6 == pytest.approx(mflop, abs=0.06)


@pytest.mark.parametrize(("stem", "floats", "mflop"), CFG_ONLY, ids=[row[0] for row in CFG_ONLY])
def test_networks_without_weights(data_dir: Path, stem: str, floats: int, mflop: float) -> None:
    graph = import_model(data_dir / "darknet" / "cfg-only" / f"{stem}.cfg", "random")
    assert floats_in_file(graph) == floats
    assert summary(graph)["totals"]["flops"] / 1e6 == pytest.approx(mflop, abs=0.6)


def test_every_cfg_imports(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = lambda self, section, what, shape: np.zeros(shape, np.float32)  # noqa: E731
    monkeypatch.setattr("edgecnn.importers.darknet_weights.RandomWeights.take", zeros)
    refused = []
    for cfg in sorted((data_dir / "darknet").glob("*/*.cfg")):
        if cfg.stem in ("yolov3", "yolov3-voc", "yolov2", "yolov2-voc"):
            continue  # 200 MB of weights each, and nothing that the others have not
        try:
            import_model(cfg, "random")
        except UnsupportedOperator as error:
            refused.append((cfg.name, "[local]" in str(error)))
    assert refused == [("yolov1.cfg", True)]


def test_labels_are_the_published_ones(data_dir: Path) -> None:
    for labels, name in ((VOC, "voc"), (COCO, "coco")):
        assert list(labels) == (data_dir / "labels" / f"{name}.names").read_text().split("\n")[: len(labels)]


@pytest.mark.parametrize(("stem", "weights"), [row[:2] for row in TRAINED], ids=[row[0] for row in TRAINED])
def test_same_as_opencv(data_dir: Path, stem: str, weights: str | None) -> None:
    """OpenCV's reader of Darknet files, an independent one, gives the same maps in front of the heads."""
    cv2 = pytest.importorskip("cv2")
    folder = data_dir / "darknet"
    cfg = folder / f"{stem}.cfg"
    weights_path = folder / weights if weights else cfg.with_suffix(".weights")
    graph = with_epsilon(import_model(cfg, weights_path), 1e-6)  # OpenCV has one epsilon for all versions
    _, _, height, width = graph.input_specs[0].shape
    x = cv2.dnn.blobFromImage(cv2.imread(str(data_dir / "images" / "dog.jpg")), 1 / 255, (width, height), swapRB=True)
    ours = reference.run(graph, {"input": x})
    net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights_path))
    net.setInput(x)
    for name, expected in ours.items():
        theirs = net.forward(f"conv_{int(name.split('_')[1]) - 1}")
        assert theirs.shape == expected.shape
        np.testing.assert_allclose(theirs, expected, atol=1e-4 * np.abs(expected).max())


def with_epsilon(graph: Graph, epsilon: float) -> Graph:
    nodes = tuple(
        dataclasses.replace(node, op=ops.BatchNorm(node.op.axis, epsilon))
        if isinstance(node.op, ops.BatchNorm)
        else node
        for node in graph.nodes
    )
    return dataclasses.replace(graph, nodes=nodes)
