"""Writes docs/operators.md from the tables in the code: ``python docs/make_operators.py``.

``tests/test_docs.py`` fails when the file is not what this makes. The operators that are *missing* are those of the
lists below, and of TensorFlow Lite's schema, which no table has.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from pathlib import Path

from edgecnn import tflite_schema
from edgecnn.exporters import onnx_operators, tflite_operators
from edgecnn.graph import ops
from edgecnn.importers import darknet, tflite_fold
from edgecnn.importers import tflite_operators as from_tflite
from edgecnn.importers.onnx import operators as from_onnx
from edgecnn.importers.onnx.fold import HOST
from edgecnn.plan.lower_ops import LOWER

PAGE = Path(__file__).with_name("operators.md")

DARKNET_MISSING = """
    contrastive conv_lstm crnn deconvolutional Gaussian_yolo gru iseg local local_avgpool logistic lstm
    normalization rnn
"""
ONNX_MISSING = """
    ArgMin Celu Col2Im CumSum DeformConv DequantizeLinear DynamicQuantizeLinear Einsum GatherElements GatherND
    GlobalLpPool GridSample GroupNormalization GRU Hardmax If InstanceNormalization LayerNormalization Loop
    LpNormalization LpPool LSTM MaxRoiPool MaxUnpool MeanVarianceNormalization NonMaxSuppression OneHot QLinearConv
    QuantizeLinear ReduceL1 ReduceLogSum ReduceLogSumExp ReduceSumSquare RNN RoiAlign Scan ScatterElements ScatterND
    Shrink ThresholdedRelu TopK Trilu
"""


def page() -> str:
    """The text of docs/operators.md."""
    return "\n".join([*_head(), *_ir(), *_functions(), *_formulas(), *_darknet(), *_onnx(), *_tflite()]) + "\n"


def _head() -> list[str]:
    return [
        "# Operators",
        "",
        "Made by `docs/make_operators.py` from the tables in the code; do not edit it here. What a file uses and",
        "edgecnn does not have raises `UnsupportedOperator`, which names the operator and the layer.",
        "",
    ]


def _ir() -> list[str]:
    lines = [
        "## Operators of the graph",
        "",
        "What importers make and everything behind them works on. Attributes: `edgecnn/graph/ops.py`; meaning:",
        "`edgecnn/graph/reference.py`. Values are float32; rearrangements and `Cast` take int32 and int64 too.",
        "",
        "| operator | what it does | native | to ONNX | to TFLite |",
        "|---|---|---|---|---|",
    ]
    for name, op in sorted(_operators().items()):
        doc = _escaped(" ".join((inspect.getdoc(op) or "").split("\n\n")[0].split()).replace("``", "`"))
        targets = (LOWER, onnx_operators.EXPORTERS, tflite_operators.EXPORTERS)
        lines.append(f"| {name} | {doc} | " + " | ".join("yes" if op in table else "no" for table in targets) + " |")
    return [*lines, ""]


def _operators() -> dict[str, type[ops.Op]]:
    found = {name: c for name, c in vars(ops).items() if isinstance(c, type) and issubclass(c, ops.Op)}
    del found["Op"]
    return found


def _functions() -> list[str]:
    lines = ["### Functions", "", "Of `Unary`, and as activations of Conv, ConvTranspose, Dense and Binary.", ""]
    lines += ["| function | formula |", "|---|---|"]
    lines += [f"| {name} | `{_escaped(formula)}` |" for name, formula in ops.UNARY_KINDS.items()]
    lines += ["", "Of `Binary`:", "", "| function | formula |", "|---|---|"]
    lines += [f"| {name} | `{_escaped(formula)}` |" for name, formula in ops.BINARY_KINDS.items()]
    return [*lines, "", f"Of `Reduce`: {', '.join(ops.REDUCE_KINDS)}.", ""]


def _formulas() -> list[str]:
    rows = [
        (
            "convolution",
            "`y[i, j, o] = b[o] + sum over u, v, c of w[o, u, v, c] * x[i*s + u*d - top, j*s + v*d - left, c]`; "
            "x is 0 outside",
        ),
        ("its size", "`n' = floor((n + before + after - ((k - 1)*d + 1)) / s) + 1`; `ceil` where a pool says so"),
        ("same size", "stride 1 and `before + after = (k - 1)*d`: for odd k, `(k - 1)/2` on each side"),
        ("transposed convolution", "size `(n - 1)*s + (k - 1)*d + 1 + output_padding - before - after`"),
        ("multiply-accumulates", "`H*W*O * k*k*C / groups` of a convolution, `K*O` of a fully connected layer"),
        ("parameters", "`k*k*C*O / groups + O`; four for each channel of a batch norm, two of them trained"),
        ("max, average pooling", "largest value, mean of a window; sizes as of convolutions, without parameters"),
        (
            "batch norm",
            "`(x - mean) / sqrt(variance + epsilon) * scale + bias` per channel, with the statistics of training",
        ),
        (
            "folded into weights",
            "`w' = w * scale / sqrt(variance + epsilon)`, `b' = (b - mean) * scale / sqrt(variance + epsilon) + bias`",
        ),
        ("dropout", "`x`: it is a matter of training, and importers leave it out"),
        ("softmax", "`exp(x - max) / sum of exp(x - max)`: positive, and the sum is 1"),
        (
            "local response norm",
            "`x[c] / (bias + alpha / size * sum of x[i]^2) ** beta` over `size` channels around c",
        ),
        (
            "receptive field",
            "`r' = r + (k - 1)*d*j`, `j' = j*s`, from `r = j = 1`: the column *sees* of `edgecnn inspect`",
        ),
    ]
    lines = [
        "### Formulas",
        "",
        "n cells become n' cells; k kernel, s stride, d dilation; *before* and *after* are the padding. The meaning in",
        "numpy stands in `edgecnn/graph/reference.py`, sizes in `infer` of `edgecnn/graph/ops.py`.",
        "",
        "| what | formula |",
        "|---|---|",
    ]
    return [*lines, *(f"| {what} | {_escaped(formula)} |" for what, formula in rows), ""]


def _darknet() -> list[str]:
    return [
        "## Darknet",
        "",
        f"Sections: {_listed(darknet.LAYERS)}.",
        "",
        f"Activations: {_listed(('linear', *darknet.FUNCTIONS))}.",
        "",
        f"Missing sections: {_missing(DARKNET_MISSING, darknet.LAYERS)}.",
        "",
        f"Refused where they are switched on: {_listed((*darknet.REFUSED_OPTIONS, *darknet.REFUSED_FILES))}.",
        "",
    ]


def _onnx() -> list[str]:
    only_folded = [name for name in HOST if name not in from_onnx.IMPORTERS]
    known = {*from_onnx.IMPORTERS, *only_folded}
    return [
        "## ONNX",
        "",
        f"Operators: {_listed(from_onnx.IMPORTERS)}.",
        "",
        "Whatever has only constant inputs is computed at import; so are shapes, and these, which exist only there:",
        f"{_listed(only_folded)}.",
        "",
        f"Missing: {_missing(ONNX_MISSING, known)}. Quantized ones come in a later release.",
        "",
    ]


def _tflite() -> list[str]:
    folded = ["SHAPE", "DEQUANTIZE", "RANGE", *tflite_fold.ARITHMETIC]
    only_folded = [name for name in folded if name not in from_tflite.IMPORTERS]
    missing = [*tflite_schema.OTHER_NAMES.values(), "CUSTOM"]
    return [
        "## TensorFlow Lite",
        "",
        f"Operators: {_listed(from_tflite.IMPORTERS)}.",
        "",
        f"Computed at import, where they read constants and shapes: {_listed(only_folded)}; integer arithmetic",
        "likewise. `DEQUANTIZE` is that of float16 weights.",
        "",
        f"Missing: {_listed(missing)}.",
        "",
        'Quantized models come in a later release; `backend="tflite"` runs them today.',
    ]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names, key=str.lower))


def _missing(candidates: str, known: Collection[str]) -> str:
    return _listed(name for name in candidates.split() if name not in known)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
