"""Fuzzes an importer with atheris: python tests/fuzz/importers.py TARGET [libFuzzer's arguments]."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["edgecnn"]):
    from targets import FUNCTIONS

atheris.Setup([sys.argv[0], *sys.argv[2:]], FUNCTIONS[sys.argv[1]])
atheris.Fuzz()
