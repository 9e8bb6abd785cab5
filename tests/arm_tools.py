"""Finds the programs that tests of ARM builds need: cross compiler, its binutils, QEMU."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def tool(*names: str) -> str:
    """The first of these programs that is installed; without one the test skips, or fails under EDGECNN_REQUIRE_ARM."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
        if found:
            return found
    message = f"{' or '.join(names)} is not installed"
    if os.environ.get("EDGECNN_REQUIRE_ARM"):
        pytest.fail(message)
    pytest.skip(message)
