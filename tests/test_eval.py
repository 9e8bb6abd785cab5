"""``edgecnn eval``: annotation readers, COCO's figures, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.cli import main
from edgecnn.errors import InputError
from edgecnn.evaluate.annotations import TrueBox, read_annotations
from edgecnn.evaluate.coco import Found, coco_figures, coco_summary

NAMES = ("cat", "dog")
OBJECT = (
    "<object><name>{}</name>{}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def picture(path: Path, size: tuple[int, int] = (100, 80)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def voc(folder: Path, stem: str, *objects: str, with_picture: bool = True) -> Path:
    file = folder / "Annotations" / f"{stem}.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    size = "<size><width>100</width><height>80</height><depth>3</depth></size>"
    body = "\n".join(objects)
    file.write_text(f"<annotation>\n<filename>{stem}.png</filename>\n{size}\n{body}\n</annotation>\n")
    if with_picture:
        picture(folder / "JPEGImages" / f"{stem}.png")
    return file


def test_official_figures_of_the_coco_sample(data_dir: Path) -> None:
    folder = data_dir / "detection-eval" / "coco-eval-sample"
    truths = json.loads(next((folder / "gts").glob("*.json")).read_text())
    rows = json.loads(next((folder / "dets").glob("*.json")).read_text())["annotations"]
    ids = sorted(row["id"] for row in truths["images"])
    truth: dict[int, list[TrueBox]] = {i: [] for i in ids}
    found: dict[int, list[Found]] = {i: [] for i in ids}
    for row in truths["annotations"]:
        x, y, w, h = row["bbox"]
        box = TrueBox(row["category_id"], (x, y, x + w, y + h), False, bool(row["iscrowd"]), row["area"])
        truth[row["image_id"]].append(box)
    for row in rows:
        x, y, w, h = row["bbox"]
        found[row["image_id"]].append(Found(row["category_id"], (x, y, x + w, y + h), row["score"]))
    expected = json.loads((folder / "EXPECTED.json").read_text())
    for name, value in coco_summary(truth, found).items():
        assert value == pytest.approx(expected[name], abs=1e-6), name


def test_crowds_and_ignored_boxes_count_neither_way() -> None:
    crowd = TrueBox(0, (50, 0, 100, 50), crowd=True, area=2500)
    truth = {"a": [TrueBox(0, (0, 0, 10, 10), area=100), crowd, TrueBox(0, (20, 0, 30, 10), ignored=True, area=100)]}
    found = {"a": [Found(0, box, 0.9) for box in ((60, 0, 70, 10), (80, 0, 90, 10), (20, 0, 30, 10), (0, 0, 10, 10))]}
    assert coco_figures(truth, found)[1] == {0: pytest.approx(1.0)}
    assert coco_figures(truth, {})[1] == {0: 0.0}
    assert coco_figures({}, found)[1] == {}
    figures = coco_summary(truth, found)
    assert figures["APsmall"] == pytest.approx(1.0) and figures["APlarge"] is None


def test_voc(tmp_path: Path) -> None:
    voc(
        tmp_path,
        "a",
        OBJECT.format("dog", "<difficult>1</difficult>", 1, 2, 30, 40),
        OBJECT.format("Cat", "", 5, 5, 9, 9),
    )
    voc(tmp_path, "b")
    found = read_annotations(tmp_path, NAMES)
    assert found.form == "VOC" and not found.problems and [len(p.boxes) for p in found.pictures] == [2, 0]
    assert found.pictures[0].boxes[0] == TrueBox(1, (1, 2, 30, 40), True, False, 29 * 38)
    assert found.pictures[0].boxes[1].class_id == 0


@pytest.mark.parametrize(
    ("corners", "why"),
    [
        ((30, 2, 1, 40), "reversed"),
        ((5, 5, 5, 9), "empty"),
        ((5, 5, 130, 9), "outside"),
        (("nan", 5, 9, 9), "finite"),
        (("x", 5, 9, 9), "finite"),
    ],
)
def test_bad_voc_boxes_are_reported_with_their_line(tmp_path: Path, corners: tuple[object, ...], why: str) -> None:
    file = voc(tmp_path, "a", OBJECT.format("cat", "", 1, 1, 9, 9), OBJECT.format("cat", "", *corners))
    found = read_annotations(tmp_path, NAMES)
    assert len(found.pictures[0].boxes) == 1
    (problem,) = found.problems
    assert why in problem.message and str(problem).startswith(f"{file}:5: ")


def test_other_problems_of_voc(tmp_path: Path) -> None:
    voc(tmp_path, "a", OBJECT.format("bird", "", 1, 1, 9, 9), "<object><name>cat</name></object>")
    voc(tmp_path, "gone", with_picture=False)
    (tmp_path / "Annotations" / "broken.xml").write_text("<annotation><object>")
    (tmp_path / "Annotations" / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    found = read_annotations(tmp_path, NAMES)
    assert len(found.pictures) == 1
    text = "\n".join(map(str, found.problems))
    for part in ("no class 'bird'", "without a name or a bndbox", "gone.png is not there", "broken.xml", "entities"):
        assert part in text


def test_yolo(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.png")
    (tmp_path / "labels").mkdir()
    rows = ("1 .5 .5 .2 .5", "", "2 .5 .5 .2 .5", "0 .5 .5 0 .5", "0 .5 .5 3 .5", "0 .5 x .2 .5", "0 .5 .5")
    (tmp_path / "labels" / "a.txt").write_text("\n".join(rows))
    (tmp_path / "labels" / "c.txt").write_text("0 .5 .5 .1 .1")
    found = read_annotations(tmp_path, NAMES)
    assert found.form == "YOLO" and [len(p.boxes) for p in found.pictures] == [1, 0]
    assert found.pictures[0].boxes[0].xyxy == pytest.approx((40, 20, 60, 60))
    assert [p.line for p in found.problems] == [3, 4, 5, 6, 7, 0, 0]
    assert [p.kind for p in found.problems] == ["class", "box", "box", "row", "row", "note", "picture"]


def test_coco(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    rows = [
        {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 5, "iscrowd": 1},
        {"image_id": 7, "category_id": 3, "bbox": [1, 2, 0, 4]},
        {"image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4]},
        {"image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]},
        {"image_id": 7, "category_id": 3},
    ]
    data = {
        "images": [{"id": 7, "file_name": "x/a.png", "width": 100, "height": 80}],
        "annotations": rows,
        "categories": [{"id": 3, "name": "dog"}, {"id": 4, "name": "bird"}],
    }
    (tmp_path / "set.json").write_text(json.dumps(data, indent=1))
    found = read_annotations(tmp_path, NAMES)
    assert found.pictures[0].boxes == (TrueBox(1, (1, 2, 4, 6), False, True, 5.0),)
    lines = (tmp_path / "set.json").read_text().splitlines()
    for problem, index in zip(found.problems, (1, 2, 4)):
        assert problem.message.startswith(f"annotation {index}: ")
        assert lines[problem.line - 2].strip() == ("}," if index else "[") and lines[problem.line - 1].strip() == "{"
    assert found.problems[3].message == "the model has no class 'bird' (1 boxes)" and len(found.problems) == 4
    (tmp_path / "set.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="no COCO annotations"):
        read_annotations(tmp_path / "set.json", NAMES)


def test_large_sets_of_problems(tmp_path: Path) -> None:
    """What many annotations share is neither said nor looked at again for each; minutes and gigabytes if it were."""
    picture(tmp_path / "images" / "a.png")
    row = {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}
    data = {
        "images": [{"id": 7, "file_name": "a.png", "width": "x" * 200_000, "height": 80}],
        "categories": [{"id": 3, "name": "dog" * 50_000}],
        "annotations": [row] * 2_000,
    }
    text = json.dumps(data)
    (tmp_path / "set.json").write_text(text[:-2] + 50_000 * ",\n0" + "]}")
    found = read_annotations(tmp_path, NAMES)
    assert len(found.problems) == 52_000 and sum(len(p.message) for p in found.problems) < 50e6
    assert [p.line for p in found.problems] == 2_000 * [1] + list(range(2, 50_002))

    voc(tmp_path, "a", "text<object/>" * 50_000)
    assert len(read_annotations(tmp_path, NAMES).problems) == 50_000


def test_what_is_no_set(tmp_path: Path) -> None:
    for source, why in ((tmp_path / "none", "no such file"), (tmp_path, "no annotations found")):
        with pytest.raises(InputError, match=why):
            read_annotations(source, NAMES)
    voc(tmp_path, "a", with_picture=False)
    with pytest.raises(InputError, match="no annotated picture could be read"):
        read_annotations(tmp_path, NAMES)
    with pytest.raises(InputError, match="no such folder of pictures"):
        read_annotations(tmp_path, NAMES, tmp_path / "nowhere")


def test_the_command_on_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped digits on their own picture: found where the annotations repeat what is found."""
    import edgecnn

    source = Path(__file__).parent.parent / "models" / "demo.png"
    with edgecnn.Detector("digits") as detector:
        result = detector(source)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "images" / "demo.png").write_bytes(source.read_bytes())
    with Image.open(source) as image:
        size = np.array(image.size, np.float64)
    lines = []
    for box in result:
        x1, y1, x2, y2 = (float(v) for v in np.clip(box.xyxy, 0, np.tile(size, 2)))
        corners = np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]) / np.tile(size, 2)
        lines.append(f"{box.class_id} " + " ".join(f"{v:.9f}" for v in corners))
    (tmp_path / "labels" / "demo.txt").write_text("\n".join([*lines, "99 .5 .5 .1 .1"]))
    worst, curves = tmp_path / "worst", tmp_path / "curves.svg"
    arguments = ["eval", "digits", str(tmp_path), "--backend", "native,reference", "--threads", "1", "--conf", "0.25"]
    assert main([*arguments, "--worst", str(worst), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert [row["backend"] for row in rows] == ["native", "reference"]
    assert all(row["map50"] == 1.0 and row["boxes"] == len(result) for row in rows)
    assert "demo.txt" in err and "1 problems in the annotations, skipped" in err and not list(worst.iterdir())
    pytest.importorskip("matplotlib")
    assert main([*arguments, "--plot", str(curves)]) == 0
    out, _ = capsys.readouterr()
    assert "reference against native: map50 +0.0000" in out and curves.read_text().startswith("<?xml")
    assert main([*arguments, "--strict"]) == 1
    assert "1 problems in the annotations" in capsys.readouterr().err


def test_a_missed_box_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "images" / "empty.png", (224, 224))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "empty.txt").write_text("3 .5 .5 .4 .4")
    assert main(["eval", "digits", str(tmp_path), "--worst", str(tmp_path / "worst")]) == 0
    assert "mean" in capsys.readouterr().out
    with Image.open(tmp_path / "worst" / "01-empty.png") as image:
        assert np.asarray(image).any()


def test_pictures_without_annotations_and_such_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = voc(tmp_path, "a", OBJECT.format("3", "", 1, 1, 90, 70))
    voc(tmp_path, "empty")
    voc(tmp_path, "broken", OBJECT.format("3", "", 1, 1, 90, 70))
    (tmp_path / "JPEGImages" / "broken.png").write_bytes(b"no picture")
    picture(tmp_path / "JPEGImages" / "alone.png")
    assert main(["eval", "digits", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "2 pictures, 1 of them without a box, 1 boxes, 0 of them difficult or crowds" in out
    assert "alone.png: without annotations" in err and "broken.png: not a picture that can be read" in err
    assert err.count("1 pictures missing, unreadable or without annotations") == 2
    (tmp_path / "JPEGImages" / "a.png").write_bytes(b"no picture")
    (tmp_path / "JPEGImages" / "empty.png").write_bytes(b"no picture")
    assert main(["eval", "digits", str(tmp_path)]) == 1
    assert "no picture can be read" in capsys.readouterr().err
    assert file.exists()


def test_a_set_of_other_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc(tmp_path, "a", OBJECT.format("sheep", "", 1, 1, 90, 70))
    assert main(["eval", "digits", str(tmp_path)]) == 1
    assert "no box of a class that the model knows; it knows 0, 1, 2, 3, 4, 5, 6, 7, ..." in capsys.readouterr().err


def test_names_that_coco_and_voc_differ_in(tmp_path: Path) -> None:
    voc(tmp_path, "a", OBJECT.format("couch", "", 1, 1, 9, 9), OBJECT.format("tvmonitor", "", 1, 1, 9, 9))
    boxes = read_annotations(tmp_path, ("tv", "sofa")).pictures[0].boxes
    assert [box.class_id for box in boxes] == [1, 0]


def test_a_detector_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "HOGDescriptor"):
        pytest.skip("OpenCV 5 has no HOG")
    voc(tmp_path, "a", OBJECT.format("person", "", 1, 1, 90, 70))
    assert main(["eval", "hog-people", str(tmp_path)]) == 0
    assert "hog-people on OpenCV" in capsys.readouterr().out


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "digits", str(tmp_path / "none")]) == 1
    assert "no such file or folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["eval", "digits", str(tmp_path), "--backend", "abacus"])
    assert stop.value.code == 2
