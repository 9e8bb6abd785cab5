"""``edgecnn detect`` and ``edgecnn classify``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from edgecnn.cli import preprocess_of
from edgecnn.errors import EdgeCNNError, InputError

if TYPE_CHECKING:
    from edgecnn.detections import Detections
    from edgecnn.detector import Detector

STAGES = ("preprocess", "inference", "postprocess")


def detect(options: argparse.Namespace) -> int:
    """Finds objects: a line per picture, one with the mean times at the end."""
    from edgecnn.detector import Detector

    classes = (
        [int(c) if c.strip().isdigit() else c.strip() for c in options.classes.split(",")] if options.classes else None
    )
    saver = Saver(options.save) if options.save else None
    with (
        Report(options.json) as report,
        Detector(
            options.model,
            options.weights,
            backend=options.backend,
            threads=options.threads,
            conf=options.conf,
            iou=options.iou,
            classes=classes,
            max_det=options.max_det,
            agnostic=options.agnostic,
            labels=options.labels,
            preprocess=preprocess_of(options),
        ) as detector,
    ):
        for source in options.source:
            for found in results(detector, source, report):
                report.add(found.source, str(found), found.to_dict(), found.speed)
                if options.boxes:
                    for one in found:
                        corners = " ".join(f"{v:.0f}" for v in one.xyxy)
                        report.say(f"  {one.name} {one.conf:.2f} at {corners}")
                if saver is not None:
                    saver.save(found)
        if saver is not None and saver.written:
            report.say(f"Saved: {saver.written} {'picture' if saver.written == 1 else 'pictures'} in {saver.folder}")
    return report.status


def classify(options: argparse.Namespace) -> int:
    """Classifies: a line per picture, one with the mean times at the end."""
    from edgecnn.classifier import Classifier
    from edgecnn.images import find_images

    with (
        Report(options.json) as report,
        Classifier(
            options.model,
            options.weights,
            backend=options.backend,
            threads=options.threads,
            labels=options.labels,
            preprocess=preprocess_of(options),
        ) as classifier,
    ):
        for source in options.source:
            for path in report.attempt(lambda s=source: find_images(s)) or ():  # type: ignore[misc]
                result = report.attempt(lambda p=path: classifier(p))  # type: ignore[misc]
                if result is not None:
                    text = ", ".join(f"{name} {p:.3f}" for _, name, p in result.top(options.top))
                    report.add(result.source, text, result.to_dict(options.top), result.speed)
    return report.status


def results(detector: Detector, source: str, report: Report) -> Iterator[Detections]:
    """The detections of a source. A picture that cannot be read is reported, and the next one follows."""
    from edgecnn.images import find_images
    from edgecnn.video import is_video

    if is_video(source):
        yield from detector.stream(source)
        return
    for path in report.attempt(lambda: find_images(source)) or ():
        found = report.attempt(lambda p=path: detector(p))  # type: ignore[misc]
        if found is not None:
            yield found


class Report:
    """Writes results as they come: text, or a JSON array, or both. Sums the times; remembers failures."""

    def __init__(self, json_target: str | None) -> None:
        self.status = 0
        self._text = json_target != "-"
        self._json: TextIO | None = None
        if json_target == "-":
            self._json = sys.stdout
        elif json_target:
            self._json = open(json_target, "w", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self._count = 0
        self._first: dict[str, float] = {}
        self._rest = dict.fromkeys(STAGES, 0.0)

    def __enter__(self) -> Report:
        return self

    def add(self, source: str, text: str, row: dict[str, Any], speed: dict[str, float]) -> None:
        """One picture's result."""
        if self._json is not None:
            self._json.write(("[\n" if self._count == 0 else ",\n") + json.dumps(row, ensure_ascii=False))
        self._count += 1
        if self._count == 1:
            self._first = speed
        else:
            for stage in STAGES:
                self._rest[stage] += speed.get(stage, 0.0)
        size = f" {row['width']}x{row['height']}" if row.get("width") else ""
        self.say(f"{source}{size}: {text}")

    def say(self, line: str) -> None:
        """A line for people, where standard output is theirs."""
        if self._text:
            print(line, flush=True)

    def attempt(self, work: Any) -> Any:
        """What *work* returns; None after reporting an InputError."""
        try:
            return work()
        except InputError as error:
            self.status = 1
            print(f"edgecnn: {' '.join(str(error).split())}", file=sys.stderr)
            return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._json is not None:
            if kind is None or self._count:
                self._json.write("[]\n" if self._count == 0 else "\n]\n")
            if self._json is not sys.stdout:
                self._json.close()
        if self._count and kind in (None, KeyboardInterrupt):
            self.say(f"Speed: {self._speed()}")

    def _speed(self) -> str:
        """The mean times. The first picture, which finds cold caches, counts only where it is the only one."""
        rest = self._count - 1
        mean = {stage: self._rest[stage] / rest if rest else self._first.get(stage, 0.0) for stage in STAGES}
        stages = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in mean.items())
        fps = 1e3 / max(sum(mean.values()), 1e-6)
        return f"{stages} ({f'mean of {rest} after the first' if rest else 'first picture'}, {fps:.1f} fps)"


class Saver:
    """Writes annotated pictures into a folder under their own names, never over their sources."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.written = 0
        self._taken: set[Path] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--save {folder}: {error.strerror}") from error

    def save(self, found: Detections) -> None:
        source, _, frame = found.source.rpartition("#")
        if not source or Path(found.source).is_file():  # a picture; frames of videos are called "video#number"
            source, frame = found.source, ""
        stem = Path(source).stem or "picture"
        suffix = Path(source).suffix.lower()
        if frame:
            stem, suffix = f"{stem}_{frame.zfill(6)}", ".jpg"
        elif suffix not in (".jpg", ".jpeg", ".png", ".bmp"):
            suffix = ".png"
        target = self.folder / f"{stem}{suffix}"
        number = 2
        while target in self._taken or _is_same(target, source):
            target = self.folder / f"{stem}_{number}{suffix}"
            number += 1
        found.save(target)
        self._taken.add(target)
        self.written += 1


def _is_same(target: Path, source: str) -> bool:
    try:
        return target.samefile(source)
    except (OSError, EdgeCNNError):
        return False
