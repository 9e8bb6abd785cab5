"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def find_data_dir() -> Path | None:
    """The folder of real models and pictures: ``$EDGECNN_DATA``, else ``../shared/data`` beside the repository."""
    candidates = [os.environ.get("EDGECNN_DATA"), REPOSITORY.parent / "shared" / "data"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "SHA256SUMS").is_file():
            return Path(candidate)
    return None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder; tests that need it are skipped where it is absent."""
    found = find_data_dir()
    if found is None:
        pytest.skip("the folder of real models and pictures is absent (set EDGECNN_DATA)")
    return found


@pytest.fixture(scope="session", autouse=True)
def own_plan_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave the cache of whoever runs them alone."""
    before = os.environ.get("EDGECNN_CACHE")
    os.environ["EDGECNN_CACHE"] = str(tmp_path_factory.mktemp("plans"))
    yield
    if before is None:
        del os.environ["EDGECNN_CACHE"]
    else:
        os.environ["EDGECNN_CACHE"] = before
