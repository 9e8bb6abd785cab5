"""The reader of .ecnn files against files that lie: every number of the header, the records, and the metadata."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from graphs import classifier_like, with_checksums, yolo_like

from edgecnn import _core
from edgecnn.backends.native import NativeBackend
from edgecnn.errors import EdgeCNNError, ModelFormatError
from edgecnn.passes import run_passes
from edgecnn.plan import build_plan
from edgecnn.plan.program import HEADER, OPERAND, SPACES, STEP

# Names of the header's fields, in their order.
# fmt: off
FIELDS = [
    "magic", "major", "minor", "target", "lanes", "nr", "file_bytes", "checksum", "step_count", "input_count",
    "output_count", "arena_bytes", "io_offset", "steps_offset", "params_offset", "params_bytes", "constants_offset",
    "constants_bytes", "metadata_offset", "metadata_bytes", "constants_checksum", "stamp",
]
# fmt: on
STEP_BYTES = STEP.size + OPERAND.size * (_core.MAX_STEP_INPUTS + _core.MAX_STEP_OUTPUTS)
GIB = 1 << 30


@pytest.fixture(scope="module")
def good() -> bytes:
    return build_plan(run_passes(classifier_like())).to_bytes()


def header(content: bytes) -> dict[str, Any]:
    return dict(zip(FIELDS, HEADER.unpack_from(content)))


def with_header(content: bytes, **changes: Any) -> bytes:
    """*content* with other numbers in its header and, unless they are changed, checksums that fit."""
    changed = with_checksums(_with_fields(content, changes))
    return _with_fields(changed, {key: value for key, value in changes.items() if key.endswith("checksum")})


def _with_fields(content: bytes, changes: dict[str, Any]) -> bytes:
    fields = {**header(content), **changes}
    return HEADER.pack(*(fields[name] for name in FIELDS)) + content[HEADER.size :]


def with_bytes(content: bytes, at: int, data: bytes) -> bytes:
    return with_header(content[:at] + data + content[at + len(data) :])


def with_metadata(content: bytes, text: bytes) -> bytes:
    """*content* with other metadata, put behind everything else."""
    return with_header(
        content + text, file_bytes=len(content) + len(text), metadata_offset=len(content), metadata_bytes=len(text)
    )  # fmt: skip


def test_helpers_change_nothing_by_themselves(good: bytes) -> None:
    assert with_header(good) == good
    fields = header(good)
    text = good[fields["metadata_offset"] :][: fields["metadata_bytes"]]
    assert NativeBackend(with_metadata(good, text)).info == NativeBackend(good).info


def test_an_empty_file_and_a_header_alone(good: bytes) -> None:
    for content, why in (
        (b"", "too short"),
        (good[:135], "too short"),
        (good[:136], "truncated"),
        (good + b"x", "grown"),
    ):
        with pytest.raises(ModelFormatError, match=why):
            NativeBackend(content)
    with pytest.raises(ModelFormatError, match=r"net\.ecnn: not an \.ecnn file"):
        NativeBackend(b"PK\3\4" + good[4:], source="net.ecnn")
    with pytest.raises(ModelFormatError, match="version 1"):
        NativeBackend(with_header(good, major=1))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"target": b"\xff" * 16}, "not terminated"),
        ({"target": b"sparc"}, "target 'sparc'"),
        ({"lanes": 5}, "packed in another layout"),
        ({"nr": 0}, "packed in another layout"),
        ({"arena_bytes": 2**63}, "arena"),
        ({"arena_bytes": 64}, "outside its space"),
        ({"step_count": 2**32 - 1}, "too many"),
        ({"input_count": 2**32 - 1}, "too many"),
        ({"output_count": 257}, "too many"),
        ({"input_count": 0}, "outside its space"),
        ({"io_offset": 2**64 - 8}, "outside the file"),
        ({"steps_offset": 2**64 - 64}, "outside the file"),
        ({"steps_offset": 0}, "step 0"),
        ({"params_offset": 2**63}, "outside the file"),
        ({"params_bytes": 0}, "parameters"),
        ({"constants_offset": 2**64 - 64}, "outside the file"),
        ({"constants_offset": 4}, "not aligned"),
        ({"constants_bytes": 2**64 - 1}, "outside the file"),
        ({"constants_bytes": 0}, "outside its space"),
        ({"metadata_offset": 2**64 - 1}, "outside the file"),
        ({"metadata_bytes": 0}, "metadata|JSON|Expecting"),
        ({"checksum": 0}, "checksum"),
        ({"constants_checksum": 0}, "checksum"),
        ({"file_bytes": 0}, "truncated"),
    ],
)
def test_header_that_lies(good: bytes, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelFormatError, match=why):
        NativeBackend(with_header(good, **changes))


def test_constants_need_their_slack(good: bytes) -> None:
    fields = header(good)
    start, size = fields["constants_offset"], fields["constants_bytes"]
    moved = good + bytes(-len(good) % 64)
    content = moved + good[start : start + size]
    NativeBackend(with_header(content + bytes(64), constants_offset=len(moved), file_bytes=len(content) + 64))
    with pytest.raises(ModelFormatError, match="slack"):
        NativeBackend(with_header(content, constants_offset=len(moved), file_bytes=len(content)))


@pytest.mark.parametrize("space", [*SPACES.values(), 0, 5, 2**32 - 1])
@pytest.mark.parametrize("offset", [0, 2, 2**40, 2**64 - 4])
def test_operands_anywhere(good: bytes, space: int, offset: int) -> None:
    """Whatever place a step's operand is said to have, the program is refused or runs within its own memory."""
    fields = header(good)
    refused = 0
    places = [i for i in range(_core.MAX_STEP_INPUTS) if i < 2] + [_core.MAX_STEP_INPUTS]
    for step in range(fields["step_count"]):
        for place in places:
            at = fields["steps_offset"] + step * STEP_BYTES + STEP.size + place * OPERAND.size
            nbytes = OPERAND.unpack_from(good, at)[3]
            bad = with_bytes(good, at, OPERAND.pack(space, 0, offset, nbytes))
            try:
                backend = NativeBackend(bad)
            except ModelFormatError:
                refused += 1
                continue
            backend.predict({s.name: np.zeros(s.shape, s.dtype) for s in backend.inputs})
    if offset or space not in SPACES.values():
        assert refused >= fields["step_count"]


def test_tensors_of_terabytes_are_refused(good: bytes) -> None:
    fields = header(good)
    for nbytes in (2**40, 2**63, 2**64 - 1):
        for index in range(fields["input_count"] + fields["output_count"]):
            bad = with_bytes(good, fields["io_offset"] + 8 * index, struct.pack("<Q", nbytes))
            with pytest.raises(ModelFormatError, match="tensor of"):
                NativeBackend(bad)


def test_an_arena_that_nothing_uses_costs_nothing(good: bytes) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    backend = NativeBackend(with_header(good, arena_bytes=GIB // 4))
    backend.predict({s.name: np.zeros(s.shape, s.dtype) for s in backend.inputs})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 18  # KiB


def test_a_small_file_cannot_ask_for_much_memory(good: bytes) -> None:
    assert len(good) < GIB // 1024
    with pytest.raises(ModelFormatError, match="asks for an arena"):
        NativeBackend(with_header(good, arena_bytes=GIB))
    with pytest.raises(ModelFormatError, match="more memory than a file of this size may ask for"):
        bad = with_bytes(good, header(good)["io_offset"], struct.pack("<Q", GIB))
        NativeBackend(bad)


def test_metadata_of_megabytes_are_refused(good: bytes) -> None:
    with pytest.raises(ModelFormatError, match="metadata"):
        NativeBackend(with_metadata(good, b" " * (9 << 20)))


def metadata_of(content: bytes) -> dict[str, Any]:
    fields = header(content)
    parsed: dict[str, Any] = json.loads(content[fields["metadata_offset"] :][: fields["metadata_bytes"]])
    return parsed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs", []),
        ("inputs", 7),
        ("inputs", [{"name": "pixels", "shape": [2, 30, 30, 4], "dtype": "float32"}]),
        ("inputs", [{"name": "pixels", "shape": [2, 30, 30, 3], "dtype": "float64"}]),
        ("inputs", [{"name": "pixels", "shape": [2, 30, 30, 3], "dtype": "object"}]),
        ("inputs", [{"name": "pixels", "shape": [2, 30, 30, 3], "dtype": "no such type"}]),
        ("inputs", [{"name": "pixels", "shape": [-2, -30, 30, 3], "dtype": "float32"}]),
        ("inputs", [{"name": "pixels", "shape": [2**70], "dtype": "float32"}]),
        ("inputs", [{"name": "pixels", "shape": "2x30x30x3", "dtype": "float32"}]),
        ("inputs", [{"name": "pixels", "shape": [2.5], "dtype": "float32"}]),
        ("outputs", [{"name": "x", "shape": [10**9, 10**9], "dtype": "float32"}] * 2),
        ("inputs", [{"name": "pixels", "shape": [2, 30, True, 90], "dtype": "float32"}]),
        ("inputs", [{"name": "pixels", "shape": [float("inf")], "dtype": "float32"}]),
        ("outputs", None),
        ("layers", [{}]),
        ("layers", "abc"),
        ("steps", [["Conv", 0]]),
        ("steps", [["Conv", 10**6, 0]]),
        ("steps", []),
        ("model", []),
        ("model", '{"labels": 3}'),
        ("name", None),
    ],
)
def test_metadata_that_lies(good: bytes, key: str, value: object) -> None:
    text = json.dumps({**metadata_of(good), key: value}).encode()
    try:
        backend = NativeBackend(with_metadata(good, text), source="net.ecnn")
        inputs = {s.name: np.zeros(s.shape, s.dtype) for s in backend.inputs}
        backend.predict(inputs)
        backend.profile(inputs)
    except EdgeCNNError as error:
        assert "net.ecnn" in str(error)
    else:
        assert key == "name"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"7", b"[" * 100_000, b'{"name":' + b"9" * 10_000 + b"}"]
)
def test_metadata_that_is_none(good: bytes, text: bytes) -> None:
    with pytest.raises(ModelFormatError, match=r"net\.ecnn"):
        NativeBackend(with_metadata(good, text), source="net.ecnn")


def test_numbers_of_records_and_parameters_at_random() -> None:
    """Any number in the structure may change: refused, or run without touching anything outside."""
    good = build_plan(run_passes(yolo_like())).to_bytes()
    fields = header(good)
    rng = np.random.default_rng(11)
    sections = [
        (fields["steps_offset"], fields["step_count"] * STEP_BYTES),
        (fields["params_offset"], fields["params_bytes"]),
    ]
    special = [0, 1, 2, 3, 7, 16, 2**16, 2**29, 2**31 - 1, -1, -2, -(2**31)]
    refused = 0
    for _ in range(400):
        bad = good
        for _ in range(int(rng.integers(1, 3))):
            start, size = sections[int(rng.integers(2))]
            at = start + 4 * int(rng.integers(size // 4))
            (old,) = struct.unpack_from("<i", bad, at)
            new = int(rng.choice(special)) if rng.random() < 0.5 else old + int(rng.integers(-4, 5))
            bad = with_bytes(bad, at, struct.pack("<i", max(-(2**31), min(2**31 - 1, new))))
        try:
            backend = NativeBackend(bad, threads=1 + int(rng.integers(2)))
            backend.predict({s.name: np.zeros(s.shape, s.dtype) for s in backend.inputs})
        except EdgeCNNError:
            refused += 1
    assert refused > 100
