"""The text of a Darknet network: sections of ``key=value`` lines, with the line numbers that error messages need."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from edgecnn.errors import ModelError, ModelFormatError

MAX_BYTES = 4 << 20
MAX_SECTIONS = 10_000
MAX_LIST = 1000  # values of one option

ALIASES = {"network": "net", "conv": "convolutional", "conn": "connected", "max": "maxpool", "avg": "avgpool"}


@dataclass
class Section:
    """One section. ``options`` keeps the first of repeated keys, as Darknet does: key -> (text, line)."""

    file: str
    kind: str
    line: int
    index: int  # of the layer; -1 for [net]
    options: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the layer is called in graph, plan and profile."""
        return f"{self.kind}_{self.index}"

    def where(self, key: str = "") -> str:
        """File, line and section, as error messages start."""
        line = self.options[key][1] if key in self.options else self.line
        layer = f" (layer {self.index})" if self.index >= 0 else ""
        return f"{self.file}:{line}: [{self.kind}]{layer}"

    def error(self, message: str, key: str = "") -> ModelFormatError:
        """A ModelFormatError that points at this section, or at the line of *key*."""
        return ModelFormatError(f"{self.where(key)}: {message}")

    def text(self, key: str, default: str = "") -> str:
        """The value of *key* as it stands in the file."""
        return self.options[key][0] if key in self.options else default

    def integer(self, key: str, default: int, minimum: int = 0) -> int:
        """The value of *key* as an integer of at least *minimum*."""
        if key not in self.options:
            return default
        return self._integer(key, self.text(key), minimum)

    def integers(self, key: str) -> list[int]:
        """A comma-separated list of integers of any sign."""
        return [self._integer(key, part, -(1 << 31)) for part in self._parts(key)]

    def number(self, key: str, default: float) -> float:
        """The value of *key* as a finite number."""
        return self._number(key, self.text(key)) if key in self.options else default

    def numbers(self, key: str) -> list[float]:
        """A comma-separated list of finite numbers."""
        return [self._number(key, part) for part in self._parts(key)]

    def flag(self, key: str) -> bool:
        """Whether *key* is given and not 0."""
        return self.integer(key, 0, -(1 << 31)) != 0

    def _parts(self, key: str) -> list[str]:
        parts = [part for part in self.text(key).split(",") if part]
        if len(parts) > MAX_LIST:
            raise self.error(f"{key}= lists {len(parts)} values, more than {MAX_LIST}", key)
        return parts

    def _integer(self, key: str, text: str, minimum: int) -> int:
        try:
            value = int(text)
        except ValueError:
            raise self.error(f"{key}={text}: not an integer", key) from None
        if not minimum <= value < 1 << 31:
            raise self.error(f"{key}={text}: must be between {minimum} and 2^31", key)
        return value

    def _number(self, key: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self.error(f"{key}={text}: not a number", key) from None
        if not math.isfinite(value):
            raise self.error(f"{key}={text}: not a finite number", key)
        return value


def read_cfg(path: Path) -> list[Section]:
    """The sections of a ``.cfg`` file; the first is [net], the others are the layers in order.

    Raises
    ------
    ModelFormatError
        The text is not that of a Darknet network; the message has the line number.
    ModelError
        The file cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelFormatError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so not the text of a Darknet network")
        text = path.read_bytes().decode("utf-8-sig", errors="replace")  # comments come in any encoding
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_cfg(text, str(path))


def parse_cfg(text: str, path: str) -> list[Section]:
    """`read_cfg` of a text; *path* is what messages call it."""
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = "".join(raw.split("#")[0].split(";")[0].split())  # Darknet drops all white space
        if not line:
            continue
        if line.startswith("["):
            if not line.endswith("]") or len(line) < 3:
                raise ModelFormatError(f"{path}:{number}: {raw.strip()[:60]!r} is not a section name")
            kind = line[1:-1].lower()
            sections.append(Section(path, ALIASES.get(kind, kind), number, len(sections) - 1))
            if len(sections) > MAX_SECTIONS:
                raise ModelFormatError(f"{path}:{number}: more than {MAX_SECTIONS} sections")
            continue
        key, equals, value = line.partition("=")
        if not equals or not key or not sections:
            expected = "key=value" if sections else "a Darknet network, which starts with [net]"
            raise ModelFormatError(f"{path}:{number}: {raw.strip()[:60]!r} is not {expected}")
        sections[-1].options.setdefault(key, (value, number))
    if not sections or sections[0].kind != "net":
        raise ModelFormatError(f"{path}: not a Darknet network: it does not start with [net]")
    if len(sections) == 1:
        raise ModelFormatError(f"{path}: a network without layers")
    return sections
