"""The command that runs networks on several backends and compares."""

from __future__ import annotations

import dataclasses

import pytest

from edgecnn.networks import NETWORKS, check
from edgecnn.networks.table import Published


def test_networks_that_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["lenet", "minivgg", "--backend", "native,reference"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = lines[1].split()
    assert cells[:6] == ["lenet", "1x28x28", "1x10", "431080", "431080", "4.6"] and cells[8] == "ok"
    assert 0 < float(cells[7]) < 1e-5
    assert lines[-1] == "2 of 2 networks agree on native, reference"


def test_a_size_that_is_not_the_published_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (Published(params=431_081), Published(mflop=4.7)):
        monkeypatch.setitem(NETWORKS, "lenet", dataclasses.replace(NETWORKS["lenet"], published=wrong))
        assert check.main(["lenet", "--backend", "native"]) == 1
        assert "BAD" in capsys.readouterr().out


def test_outputs_that_differ(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check, "TOLERANCE", 1e-12)
    assert check.main(["lenet", "--backend", "native,reference"]) == 1
    assert "0 of 1 networks agree" in capsys.readouterr().out


def test_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["lenet-17"]) == 1
    assert "'lenet-17' is not one of lenet, " in capsys.readouterr().err
