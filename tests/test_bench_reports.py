"""What edgecnn-bench writes beside its table, and ``compare``."""

from __future__ import annotations

import copy
import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_benchmark import SMALL

from edgecnn.benchmark import cli, compare, machine, measure, report
from edgecnn.benchmark.page import to_html
from edgecnn.benchmark.report import SCHEMA
from edgecnn.benchmark.versions import _checkout_commit, commit, versions


@pytest.fixture(autouse=True, scope="module")
def one_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "STARTS", 1)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run in all forms."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "small.cfg").write_text(SMALL)
    files = [
        part for form in ("json", "csv", "markdown", "html") for part in (f"--{form}", str(folder / f"run.{form}"))
    ]
    arguments = [str(folder / "small.cfg"), "--backend", "native,reference", "--frames", "30", *files]
    assert cli.main(arguments) == 0
    return folder


def made_up(scale: float = 1.0, seed: int = 0, throttled: list[str] | None = None, **machine: object) -> dict[str, Any]:
    """A run of 12 bursts with 5 % spread."""
    rng = np.random.default_rng(seed)
    rounds = [[float(ms) for ms in scale * (2 + 0.1 * rng.random(4))] for _ in range(3)]
    stage = {"min": 2.0, "median": 2.1, "p95": 2.3, "max": 2.4, "spread": 2.5, "fps": 476.0, "frames": 12}
    result = {"backend": "native", "threads": 1, "rounds_ms": rounds, "agrees": True, "stages": {"inference": stage}}
    described = {"board": "", "cpu": "a <CPU>", "cores": 4, "max_mhz": None, "governor": "", "temperature_c": None}
    described.update({"throttling": None, "system": "Linux", **machine})
    failed = {"backend": "tflite", "threads": 1, "error": "no <tflite> here"}
    model = {"model": "m.onnx", "note": "", "results": [result, failed]}
    run: dict[str, Any] = {
        "kind": "measurement",
        "schema": SCHEMA,
        "edgecnn": "0",
        "date": "today",
        "commit": None,
        "versions": {"python": "3", "numpy": "2"},
        "machine": described,
        "machine_after": described,
        "models": [model],
    }
    run["throttled"] = throttled or []
    return copy.deepcopy(run)


def test_csv(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "run.csv").open()))
    assert [(row["backend"], row["threads"]) for row in rows] == [("native", "1"), ("reference", "1")]
    assert all(0 < float(row["min_ms"]) <= float(row["median_ms"]) <= float(row["max_ms"]) for row in rows)


def test_markdown(folder: Path) -> None:
    lines = (folder / "run.markdown").read_text().splitlines()
    assert lines[2].startswith("| model | backend |") and len(lines) == 6
    assert len({line.count("|") for line in lines[2:]}) == 1


class Page(HTMLParser):
    """Which elements are open, and what any of them would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page(folder: Path) -> None:
    for text in ((folder / "run.html").read_text(), to_html(made_up(throttled=["under-voltage now"]))):
        page = Page()
        page.feed(text)
        assert not page.open and not page.fetched and "viewport" in text and "<svg" in text
    assert "Throttled (under-voltage now)" in page.text and "a <CPU>" in page.text
    assert "cannot run: no <tflite> here" in page.text


@pytest.mark.parametrize("seed", range(5))
def test_the_same_again_is_no_difference(seed: int) -> None:
    (verdict,), remarks = compare.compare(made_up(), made_up(seed=seed))
    assert verdict.verdict == "no difference" and not remarks


@pytest.mark.parametrize("seed", range(5))
def test_a_tenth_is_found(seed: int) -> None:
    (verdict,), _ = compare.compare(made_up(), made_up(1.1, seed))
    assert verdict.verdict == "slower" and verdict.low < 1.1 < verdict.high + 0.02
    (verdict,), _ = compare.compare(made_up(1.1, seed), made_up())
    assert verdict.verdict == "faster"


def test_a_busy_neighbour_is_no_difference() -> None:
    run = made_up(seed=3)
    rounds = run["models"][0]["results"][0]["rounds_ms"]
    rounds[:2] = [[2 * ms for ms in start] for start in rounds[:2]]
    rounds[2] = [2.02, *(2 * ms for ms in rounds[2][1:])]
    (verdict,), _ = compare.compare(made_up(), run)
    assert verdict.ratio > 1.5 and verdict.verdict == "no difference"


def test_a_process_that_was_slow_as_a_whole_is_no_difference() -> None:
    run = made_up(seed=1)
    rounds = run["models"][0]["results"][0]["rounds_ms"]
    rounds[:2] = [[1.1 * ms for ms in start] for start in rounds[:2]]
    (verdict,), _ = compare.compare(made_up(), run)
    assert verdict.verdict == "no difference" and verdict.low < 1 < verdict.ratio


def test_noise_that_hides_a_change_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made_up(seed=1)
    rounds = run["models"][0]["results"][0]["rounds_ms"]
    rounds[0] = [1.3 * ms for ms in rounds[0]]
    (tmp_path / "a.json").write_text(json.dumps(run))
    assert cli.main(["compare", str(tmp_path / "a.json"), str(tmp_path / "a.json")]) == 0
    assert "no difference to be seen: noise hides up to 29 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scale", "rate", "verdict"),
    [(1.2, 80.0, "no difference"), (1.5, 80.0, "slower"), (0.85, 120.0, "no difference"), (0.7, 120.0, "faster")],
)
def test_what_the_machine_did_is_not_the_models(scale: float, rate: float, verdict: str) -> None:
    a, b = made_up(), made_up(scale)
    for run, best in ((a, 100.0), (b, rate)):
        run["samples"] = [{"at": 0.0, "gflops": 0.5 * best}, {"at": 1.0, "gflops": best}, {"at": 2.0, "gflops": None}]
    (found,), remarks = compare.compare(a, b)
    assert found.verdict == verdict and f"first run, {rate} in the second" in remarks[0]


def test_remarks() -> None:
    other = made_up(throttled=["too hot"], cpu="another")
    other["models"][0]["results"][0]["threads"] = 2
    verdicts, remarks = compare.compare(made_up(), other)
    assert not verdicts
    text = "\n".join(remarks)
    for part in ("only in the first run", "only in the second run", "another machine", "second run was throttled"):
        assert part in text


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = str(folder / "run.json")
    assert cli.main(["compare", same, same]) == 0
    assert capsys.readouterr().out.count("no difference") == 2
    slower = tmp_path / "slower.json"
    slower.write_text(json.dumps(made_up(1.1)))
    (tmp_path / "a.json").write_text(json.dumps(made_up()))
    assert cli.main(["compare", str(tmp_path / "a.json"), str(slower)]) == 3
    assert "slower" in capsys.readouterr().out
    assert cli.main(["compare", same, str(slower)]) == 1
    assert "in common" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": [{}]}', "[" * 100_000])
def test_what_is_no_run(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    assert cli.main(["compare", str(path), str(path)]) == 1
    assert "measure again" in capsys.readouterr().err


@pytest.mark.parametrize("schema", [None, 0, SCHEMA + 1])
def test_a_run_of_another_version(schema: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = {**made_up(), "schema": schema, "edgecnn": "9.9"}
    (tmp_path / "other.json").write_text(json.dumps(run))
    assert cli.main(["compare", str(tmp_path / "other.json"), str(tmp_path / "other.json")]) == 1
    message = capsys.readouterr().err
    start = (
        f"edgecnn-bench compare: {tmp_path / 'other.json'}: written by edgecnn 9.9 in version {schema} of the format"
    )
    assert message.startswith(start) and "measure again" in message and len(message.splitlines()) == 1


def test_a_forecast_is_no_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f.json").write_text(json.dumps({"kind": "forecast", "forecasts": []}))
    assert cli.main(["compare", str(tmp_path / "f.json"), str(tmp_path / "f.json")]) == 1
    assert "only measurements compare" in capsys.readouterr().err


def schema_errors(run: object) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(cli.__file__).parent / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(run)]


def test_a_run_keeps_the_schema(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_errors(json.loads((folder / "run.json").read_text())) == []
    arguments = [str(folder / "small.cfg"), "--backend", "native,onnxruntime", "--profile", "--json", "-"]
    assert cli.main([*arguments, "--frames", "10"]) in (0, 1)
    run = json.loads(capsys.readouterr().out)
    assert schema_errors(run) == [] and run["models"][0]["profile"]["layers"]


@pytest.mark.parametrize("change", ["schema", "without versions", "new name", "negative time"])
def test_what_is_wrong_fails_the_schema(change: str, folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    if change == "schema":
        run["schema"] = SCHEMA + 1
    elif change == "without versions":
        del run["versions"]
    elif change == "new name":
        run["models"][0]["results"][0]["mode"] = 1
    else:
        run["models"][0]["results"][0]["stages"]["inference"]["min"] = -1.0
    assert schema_errors(run)


def test_versions(folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    assert run["versions"] == versions() and run["versions"]["numpy"] == np.__version__
    assert run["commit"] == commit()


def test_the_commit_of_a_checkout(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "edgecnn"
    package.mkdir()
    assert _checkout_commit(package) is None
    (package / "a.py").write_text("")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "a")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    clean = _checkout_commit(package)
    assert clean is not None and len(clean) >= 40
    (package / "a.py").write_text("changed")
    assert _checkout_commit(package) == f"{clean}+changes"


def test_profile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(folder / "small.cfg"), "--backend", "native", "--frames", "10", "--profile"]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("convolutional_0" in line for line in lines) and lines[-4].split()[0] == "sum"
    assert cli.main([*arguments, "--json", "-"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    layers = model["profile"]["layers"]
    page = Page()
    page.feed(to_html({**made_up(), "models": [model]}))
    assert not page.open and "% of peak" in page.text and "convolutional_0" in page.text
    assert sum(layer["percent"] for layer in layers) == pytest.approx(100)


def test_a_run_that_is_throttled_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"temperature_c": 85.0, "mhz": [600.0], "slowed": ["under-voltage now"]}
    monkeypatch.setattr(machine, "state", lambda: state)
    counts = iter([{"throttling has occurred": 0}, {"throttling has occurred": 1}])
    monkeypatch.setattr(machine, "throttle_events", lambda: next(counts))
    arguments = [str(folder / "small.cfg"), "--backend", "native", "--frames", "10", "--sustained", "0.2"]
    assert cli.main([*arguments, "--json", "-"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["throttled"] == ["throttling has occurred", "under-voltage now"] and schema_errors(found) == []
    assert "THROTTLED" in err and "AT THE END: under-voltage now" in err
    (row,) = found["models"][0]["results"][0]["sustained"]
    assert row["fps"] > 0 and row["slowed"] == ["under-voltage now"]
    page = Page()
    page.feed(to_html(found))
    assert not page.open and "where the plot is red: under-voltage now" in page.text


def test_sustained_text() -> None:
    result = measure.Result(measure.Job("m", None, "native", 4))
    for second in range(120):
        hot = second > 60
        row = {"at": float(second), "fps": 10.0 - 3 * hot, "temperature_c": 50 + second / 4, "mhz": [1500 - 500 * hot]}
        result.sustained.append({**row, "slowed": []})
    lines = report.sustained_text(result).splitlines()
    assert lines[0].endswith("native, 4 threads, 120 s without a pause: 10.0 fps at first, 7.0 at the end (-30 %)")
    assert [line.split()[0] for line in lines[1:]] == ["fps", "C", "MHz"]
    assert lines[1].split()[1] == "\u2588" * 30 + lines[1].split()[1][30] + "\u2581" * 29
    assert lines[2].endswith("50 to 80")


def test_sparkline() -> None:
    assert report.sparkline([0.0, 7.0, 3.0]) == "\u2581\u2588\u2584" and report.sparkline([5.0, 5.0]) == "\u2581\u2581"
    assert len(report.sparkline([float(i) for i in range(1000)])) == 60


def test_unwritable(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "none" / "page.html", tmp_path / "folder", Path("/proc/page.html")):
        arguments = [str(folder / "small.cfg"), "--backend", "native", "--frames", "10", "--html", str(target)]
        assert cli.main(arguments) == 1
        out, err = capsys.readouterr()
        assert err.startswith(f"edgecnn-bench: {target}: cannot be written: ") and out == ""  # before anything ran
    assert not list(tmp_path.glob("**/*.part"))
