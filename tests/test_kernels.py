"""The kernels as functions on arrays, against plain numpy."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest

from edgecnn import kernels
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.graph.ops import BINARY_KINDS, UNARY_KINDS, Function


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def naive_conv(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int, pad: int, groups: int) -> np.ndarray:
    """The definition, window by window."""
    o, kh, kw, c = w.shape
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))).astype(np.float64)
    height, width = (padded.shape[1] - kh) // stride + 1, (padded.shape[2] - kw) // stride + 1
    y = np.empty((len(x), height, width, o))
    for i in range(height):
        for j in range(width):
            window = padded[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
            for k in range(o):
                first = k // (o // groups) * c
                y[:, i, j, k] = (window[..., first : first + c] * w[k]).sum((1, 2, 3)) + b[k]
    return y


@pytest.mark.parametrize(("stride", "pad", "groups"), [(1, 1, 1), (2, 0, 1), (1, 2, 2), (2, 1, 6)])
def test_conv2d(stride: int, pad: int, groups: int) -> None:
    x, w, b = random(2, 9, 7, 6), random(12, 3, 3, 6 // groups, seed=1), random(12, seed=2)
    expected = naive_conv(x, w, b, stride, pad, groups)
    got = kernels.conv2d(x, w, b, strides=stride, padding=pad, groups=groups, threads=2)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    fused = kernels.conv2d(x, w, b, strides=stride, padding=(pad, pad), groups=groups, activation="leaky")
    np.testing.assert_allclose(fused, np.where(expected > 0, expected, 0.1 * expected), rtol=1e-4, atol=1e-5)


def test_depthwise() -> None:
    x, w, b = random(1, 6, 8, 10), random(10, 3, 3, 1, seed=1), random(10, seed=2)
    got = kernels.conv2d(x, w, b, padding=1, groups=10)
    np.testing.assert_allclose(got, naive_conv(x, w, b, 1, 1, 10), rtol=1e-4, atol=1e-5)


def test_conv_transpose2d_is_the_adjoint_of_conv2d() -> None:
    """<conv(x), y> = <x, conv_transpose(y)> for weights with inputs and outputs exchanged."""
    x, w, y = random(1, 8, 8, 3), random(5, 2, 2, 3, seed=1), random(1, 4, 4, 5, seed=2)
    there = kernels.conv2d(x, w, strides=2)
    back = kernels.conv_transpose2d(y, np.ascontiguousarray(w.transpose(3, 1, 2, 0)), strides=2)
    assert back.shape == x.shape
    assert math.isclose(float((there * y).sum()), float((x * back).sum()), rel_tol=1e-4, abs_tol=1e-3)


def test_pools() -> None:
    x = random(2, 6, 8, 5)
    blocks = x.reshape(2, 3, 2, 4, 2, 5)
    np.testing.assert_array_equal(kernels.max_pool2d(x, 2), blocks.max((2, 4)))
    np.testing.assert_allclose(kernels.avg_pool2d(x, 2), blocks.mean((2, 4)), rtol=1e-5, atol=1e-6)
    same = kernels.max_pool2d(x, 3, strides=1, padding=1)
    assert same.shape == x.shape and (same >= x).all()


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (kernels.relu, lambda x: np.maximum(x, 0)),
        (kernels.relu6, lambda x: np.clip(x, 0, 6)),
        (kernels.leaky_relu, lambda x: np.where(x > 0, x, 0.1 * x)),
        (kernels.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
        (kernels.selu, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
        (kernels.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (kernels.tanh, np.tanh),
        (kernels.step, lambda x: x > 0),
        (kernels.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        (kernels.hard_swish, lambda x: x * np.clip(x + 3, 0, 6) / 6),
        (kernels.hard_tanh, lambda x: np.clip(x, -1, 1)),
        (kernels.softplus, lambda x: np.log1p(np.exp(x))),
        (kernels.softsign, lambda x: x / (1 + np.abs(x))),
        (kernels.gelu, lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2),
        (kernels.mish, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        (kernels.swish, lambda x: x / (1 + np.exp(-x))),
        (lambda x: kernels.clip(x, -0.5, 1.5), lambda x: np.clip(x, -0.5, 1.5)),
        (lambda x: kernels.softmax(x, 1), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    ],
)
def test_functions(function: Callable[[np.ndarray], np.ndarray], formula: Callable[[np.ndarray], np.ndarray]) -> None:
    x = 3 * random(3, 41)
    np.testing.assert_allclose(function(x), formula(x.astype(np.float64)), rtol=2e-5, atol=2e-6)


def test_every_name_is_accepted() -> None:
    x = np.abs(random(2, 5)) + 0.5
    for kind in UNARY_KINDS:
        assert kernels.activate(x, kind).shape == x.shape
    for kind in BINARY_KINDS:
        assert kernels.combine(kind, x, x).shape == x.shape


def test_two_arrays() -> None:
    a, b = random(2, 3, 4), random(4, seed=1) + 3
    np.testing.assert_allclose(kernels.add(a, b), a + b, rtol=1e-6)
    np.testing.assert_allclose(kernels.subtract(a, b, activation="relu"), np.maximum(a - b, 0), rtol=1e-6)
    np.testing.assert_allclose(kernels.multiply(a, b), a * b, rtol=1e-6)
    np.testing.assert_allclose(kernels.divide(a, b), a / b, rtol=1e-6)
    np.testing.assert_allclose(kernels.matmul(a, random(4, 6, seed=2)), a @ random(4, 6, seed=2), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(kernels.concat([a, a * 2], 1), np.concatenate([a, a * 2], 1))
    w = random(6, 4, seed=3)
    np.testing.assert_allclose(kernels.dense(a[0], w, np.ones(6, np.float32)), a[0] @ w.T + 1, rtol=1e-4, atol=1e-5)


def test_shapes_change() -> None:
    x = random(1, 4, 6, 3)
    np.testing.assert_allclose(kernels.reduce(x, "mean", (1, 2)), x.mean((1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(kernels.reduce(x, "max", -1, keepdims=True), x.max(-1, keepdims=True))
    np.testing.assert_array_equal(kernels.resize(x, (8, 12)), x.repeat(2, 1).repeat(2, 2))
    widths = [(0, 0), (1, 2), (3, 0), (0, 1)]
    for mode in ("constant", "edge"):
        np.testing.assert_array_equal(kernels.pad(x, widths, mode=mode), np.pad(x, widths, mode=mode))  # type: ignore[call-overload]
    assert kernels.lrn(x).shape == x.shape


def test_arrays_that_are_views() -> None:
    x = random(2, 5, 6, 4)
    turned = x.transpose(0, 2, 1, 3)[::-1]
    np.testing.assert_array_equal(kernels.relu(turned), np.maximum(turned, 0))


def test_other_weights_of_one_shape_give_other_results() -> None:
    x, w = random(1, 3, 3, 2), random(2, 1, 1, 2)
    np.testing.assert_allclose(kernels.conv2d(x, 2 * w), 2 * kernels.conv2d(x, w), rtol=1e-6)


def test_plans_are_kept_and_let_go() -> None:
    for n in range(1, kernels.MAX_PLANS + 20):
        kernels.relu(np.ones(n, np.float32))
    assert len(kernels._plans) <= kernels.MAX_PLANS


def test_from_several_threads() -> None:
    x = random(1, 16, 16, 8)
    wrong: list[int] = []

    def work(index: int) -> None:
        for n in range(1, 30):
            y = kernels.leaky_relu(x[:, :n], 0.1 * index)
            if not np.allclose(y, np.where(x[:, :n] > 0, x[:, :n], np.float32(0.1 * index) * x[:, :n])):
                wrong.append(index)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.conv2d(random(1, 4, 4, 3), random(8, 3, 3, 4)), "conv|channels|4"),
        (lambda: kernels.conv2d(random(4, 4, 3), random(8, 3, 3, 3)), "dimensions"),
        (lambda: kernels.max_pool2d(random(1, 4, 4, 3), 5), "does not fit"),
        (lambda: kernels.relu(np.zeros(3)), "float32, not float64"),
        (lambda: kernels.relu([1.0, 2.0]), "numpy arrays, not list"),  # type: ignore[arg-type]
        (lambda: kernels.add(random(3), random(4)), "3|broadcast"),
        (lambda: kernels.activate(random(3), "rectify"), "unknown function 'rectify'"),
        (lambda: kernels.combine("modulo", random(3), random(3)), "unknown function 'modulo'"),
        (lambda: kernels.pad(random(3), [(1, 1)], mode="mirror"), "unknown mode"),
        (lambda: kernels.reduce(random(3), "median", 0), "unknown reduction 'median'"),
        (lambda: kernels.softmax(random(3, 4), 2), "axis 2"),
        (lambda: kernels.concat([]), "at least one"),
        (lambda: kernels.softmax(random(3), threads=0), "threads"),
        (lambda: kernels.conv2d(random(1, 4, 4, 3), random(8, 3, 3, 3), random(7)), "7"),
        (lambda: kernels.conv2d(random(1, 4, 4, 3), np.zeros((8, 3, 3, 3))), "float32"),
    ],
)
def test_what_does_not_fit(call: Callable[[], np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_functions_take_constants() -> None:
    x = random(9)
    np.testing.assert_allclose(
        kernels.activate(x, Function("leaky", 0.3)), np.where(x > 0, x, np.float32(0.3) * x), rtol=1e-6
    )
    assert issubclass(InputError, EdgeCNNError)
