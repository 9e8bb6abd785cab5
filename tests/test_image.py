"""The files that make the image: versions pinned, and in step with the package. `make image` builds and runs it."""

from __future__ import annotations

import re
from pathlib import Path

import edgecnn

DOCKER = Path(__file__).resolve().parent.parent / "docker"


def test_packages_are_pinned() -> None:
    lines = [line for line in (DOCKER / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


def test_base_is_pinned() -> None:
    bases = re.findall(r"^ARG BASE=(.*)$", (DOCKER / "Dockerfile").read_text(), re.M)
    assert len(bases) == 1 and re.search(r":3\.11-\S+@sha256:[0-9a-f]{64}$", bases[0])


def test_tag_is_the_version() -> None:
    assert f'"edgecnn:{edgecnn.__version__}"' in (DOCKER / "docker-bake.hcl").read_text()


def test_result_has_no_compiler_and_no_root() -> None:
    last = (DOCKER / "Dockerfile").read_text().split("\nFROM ")[-1]
    assert "USER 1000:1000" in last and "RUN" not in last and "--from=wheel" not in last
