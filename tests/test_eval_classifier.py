"""``edgecnn eval`` on classifiers: readers of labelled pictures, the figures, the command."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgecnn
from edgecnn.cli import main
from edgecnn.errors import InputError
from edgecnn.evaluate.classification import ClassificationResult
from edgecnn.evaluate.labelled import labelled_form, read_labelled
from edgecnn.evaluate.pillow import PillowClassifier, PillowDetector

NAMES = ("cat", "dog")


def picture(path: Path, size: tuple[int, int] = (28, 28)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def write_idx(path: Path, array: np.ndarray) -> Path:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(d).to_bytes(4, "big") for d in array.shape)
    data = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_folders(tmp_path: Path) -> None:
    for name in ("Cat", "1", "sheep"):
        picture(tmp_path / name / "a.png")
    found = read_labelled(tmp_path, NAMES)
    assert found.form == "folders" and [one.class_id for one in found.pictures] == [1, 0]
    assert [str(p) for p in found.problems] == [f"{tmp_path / 'sheep'}: the model has no class 'sheep'"]


def test_csv(tmp_path: Path) -> None:
    picture(tmp_path / "x" / "a.png")
    rows = ("file,label", "x/a.png,dog", 'x/a.png,"0"', "", "x/a.png", "x/b.png,cat", "x/a.png,2", "x/a.png,bird,more")
    file = tmp_path / "set.csv"
    file.write_text("\n".join(rows))
    found = read_labelled(file, NAMES)
    assert found.form == "list" and [one.class_id for one in found.pictures] == [1, 0]
    assert [(p.line, p.kind) for p in found.problems] == [(5, "row"), (6, "picture"), (7, "class"), (8, "class")]
    file.write_text("a.png,dog\n")
    assert len(read_labelled(file, NAMES, tmp_path / "x").pictures) == 1
    with pytest.raises(InputError, match=r"no picture of a class that the model has; first problem: .*set.csv:1: "):
        read_labelled(file, NAMES)


def test_a_list_of_files_and_labels(tmp_path: Path) -> None:
    picture(tmp_path / "x" / "a b.png")
    file = tmp_path / "val.txt"
    file.write_text("x/a b.png 1\n\nx/a b.png\tcat\nx/a b.png 7\nalone\n")
    found = read_labelled(file, NAMES)
    assert [one.class_id for one in found.pictures] == [1, 0]
    assert [(p.line, p.kind) for p in found.problems] == [(4, "class"), (5, "row")]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3))
    file = write_idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", pixels)
    with pytest.raises(InputError, match=r"its labels .*labels-idx1-ubyte are not there"):
        read_labelled(file, NAMES)
    write_idx(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", np.array([0, 1, 2, 1, 0]))
    for source in (file, tmp_path):
        found = read_labelled(source, NAMES)
        assert found.form == "idx" and [one.class_id for one in found.pictures] == [0, 1, 1, 0]
        np.testing.assert_array_equal(found.pictures[2].open().pixels, pixels[3])
        assert "picture 2: the model has no class 2" in str(found.problems[0])
    write_idx(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", np.array([0, 1]))
    with pytest.raises(InputError, match="5 pictures, but 2 labels"):
        read_labelled(file, NAMES)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"truncated|cannot be read"):
        read_labelled(file, NAMES)
    header = bytes([0, 0, 8, 3]) + (900).to_bytes(4, "big") + (1000).to_bytes(4, "big") * 2
    file.write_bytes(gzip.compress(header) if suffix else header)
    tracemalloc.start()
    with pytest.raises(InputError, match="truncated: 0 bytes of 900000000"):
        read_labelled(file, NAMES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", pixels)
    with pytest.raises(InputError, match="name one of t10k-images"):
        read_labelled(tmp_path, NAMES)


def test_a_huge_idx_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images-idx3-ubyte"
    file.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)
    write_idx(tmp_path / "labels-idx1-ubyte", np.array([0]))
    with pytest.raises(InputError, match="are not a set that edgecnn reads"):
        read_labelled(file, NAMES)


@pytest.mark.parametrize(("classes", "labels"), [(10, 1), (100, 2)])
def test_cifar(tmp_path: Path, classes: int, labels: int) -> None:
    rows = np.random.default_rng(0).integers(0, 10, (3, labels + 3072)).astype(np.uint8)
    file = tmp_path / "test.bin"
    rows.tofile(file)
    names = [str(i) for i in range(classes)]
    found = read_labelled(tmp_path, names)
    assert found.form == "CIFAR" and [one.class_id for one in found.pictures] == rows[:, labels - 1].tolist()
    opened = found.pictures[1].open()
    assert opened.order == "rgb"
    np.testing.assert_array_equal(opened.pixels[3, 5], rows[1, labels + np.arange(3) * 1024 + 3 * 32 + 5])
    with pytest.raises(InputError, match="10 or 100 classes"):
        read_labelled(file, NAMES)
    file.write_bytes(rows.tobytes()[:-1])
    with pytest.raises(InputError, match="are not rows of"):
        read_labelled(file, names)


def test_what_is_no_labelled_set(tmp_path: Path) -> None:
    assert labelled_form(tmp_path) == ""
    picture(tmp_path / "labels" / "a.png")
    assert labelled_form(tmp_path) == ""
    with pytest.raises(InputError, match="no folder for each class"):
        read_labelled(tmp_path, NAMES)


def test_the_figures_as_text() -> None:
    confusion = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    result = ClassificationResult("net", "native", 20, ("cat", "dog", "emu"), 0.85, 1.0, confusion, np.zeros(20))
    assert str(result).splitlines() == [
        "20 pictures: top-1 0.8500, top-5 1.0000",
        "cat     8 of 10      80.0%  taken for dog 2",
        "dog     9 of 10      90.0%  taken for cat 1",
        "",
        "is, taken for cat dog",
        "cat             8   2",
        "dog             1   9",
    ]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("0", "7"):
        picture(tmp_path / name / "a.png")
    assert main(["eval", "lenet-digits", str(tmp_path), "--json", "-"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["pictures"] == 2 and np.sum(row["confusion"]) == 2 and row["top1"] <= row["top5"] <= 1
    assert main(["eval", "lenet-digits", str(tmp_path), "--backend", "native,reference"]) == 0
    out = capsys.readouterr().out
    assert "2 pictures: top-1" in out and "another answer for 0 of 2 pictures" in out
    worst = tmp_path.parent / f"{tmp_path.name}-worst" / "pictures"
    assert main(["eval", "lenet-digits", str(tmp_path), "--worst", str(worst), "--json", "-"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert len(list(worst.iterdir())) == len(row["worst"]) == 2 - round(2 * row["top1"]) > 0
    with Image.open(next(worst.glob("01-*-for-*.png"))) as image:
        assert image.size == (420, 480)
    assert main(["eval", "lenet-digits", str(tmp_path), "--first", "1"]) == 0
    assert "1 pictures: top-1" in capsys.readouterr().out
    picture(tmp_path / "sheep" / "a.png")
    (tmp_path / "7" / "b.png").write_bytes(b"no picture")
    assert main(["eval", "lenet-digits", str(tmp_path)]) == 0
    err = capsys.readouterr().err
    assert "sheep: the model has no class 'sheep'" in err and "b.png: not a picture that can be read" in err
    assert main(["eval", "lenet-digits", str(tmp_path), "--strict"]) == 1
    assert "1 problems in the annotations (1 unknown classes)" in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    assert main(["eval", "lenet-digits", str(tmp_path), "--plot", str(tmp_path / "confusion.svg")]) == 0
    assert (tmp_path / "confusion.svg").read_text().startswith("<?xml")
    assert main(["eval", "lenet-digits", str(tmp_path), "--plot", str(tmp_path / "confusion.doc")]) == 1
    assert "a plot is one of .png, .svg, .pdf" in capsys.readouterr().err
    assert main(["eval", "lenet-digits", str(tmp_path), "--json", str(tmp_path / "gone" / "a.json")]) == 1
    out, err = capsys.readouterr()
    assert "cannot be written: its folder does not exist" in err and not out


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_as_pillow_resizes(tmp_path: Path, resize: str) -> None:
    """The input is what Pillow makes of the picture; boxes still come back in the picture's pixels."""
    from edgecnn.graph.metadata import Preprocess

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8))
    image.save(tmp_path / "a.png")
    with PillowDetector("digits", preprocess=Preprocess(resize=resize), conf=0.0) as detector:
        found = detector(tmp_path / "a.png")
        got = detector._preprocessor.array[0]
    height = 224 if resize == "stretch" else 168
    expected = np.asarray(image.resize((224, height), Image.BILINEAR), np.float32).transpose(2, 0, 1) / 255
    top = (224 - height) // 2
    np.testing.assert_allclose(got[:, top : top + height], expected, atol=1e-6)
    assert len(found) and (found.xyxy[:, 2] <= 120).all() and (found.xyxy[:, 3] <= 90).all()
    with PillowClassifier("lenet-digits") as classifier, edgecnn.Classifier("lenet-digits") as plain:
        grey = np.random.default_rng(1).integers(0, 256, (28, 28)).astype(np.uint8)
        np.testing.assert_allclose(classifier(grey).probabilities, plain(grey).probabilities, atol=1e-6)
