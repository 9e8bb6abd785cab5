"""The fitted parameters, and how far forecasts with them were from published times: calibration.json, as data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from edgecnn.forecast.boards import BOARDS
from edgecnn.forecast.timing import Parameters

FILE = Path(__file__).resolve().parent / "calibration.json"


class Errors(NamedTuple):
    """Relative errors of forecasts in percent."""

    median: float
    p90: float
    forecasts: int


@dataclass(frozen=True)
class Calibration:
    """What bench/forecast/calibrate.py has found.

    Attributes
    ----------
    parameters : Parameters
        Fitted on all boards.
    left_out : Errors
        Of forecasts for boards that were left out of the fit.
    boards : int
        How many boards that were.
    own_pace : dict
        By board with published times: what it takes for a millisecond that the formula forecasts.
    left_out_nets : Errors
        Of forecasts for networks that were left out of their board's pace.
    """

    parameters: Parameters
    left_out: Errors
    boards: int
    own_pace: dict[str, float]
    left_out_nets: Errors

    def pace(self, board: str) -> float:
        """What a board takes for a millisecond that the formula forecasts; 1 where nothing is published for it."""
        return self.own_pace.get(board) or self.own_pace.get(BOARDS[board].same_as, 1)

    def sentences(self, boards: Iterable[str]) -> str:
        """What is printed with every forecast for these boards."""
        boards = list(boards)
        known = [name for name in boards if self.pace(name) != 1]
        away, near = self.left_out, self.left_out_nets
        lines = ["Forecasts, not measurements."]
        if len(known) < len(boards):
            lines.append(
                f"Of {away.forecasts} forecasts of ncnn's published times for boards that were left out of the fit, "
                f"half were within {away.median:.0f} %, nine of ten within {away.p90:.0f} % ({self.boards} boards)."
            )
        if known:
            paces = ", ".join(f"{name} {self.pace(name):.2f}" for name in known)
            lines.append(
                f"Corrected by ncnn's published times on the same board ({paces} times the formula's). With each "
                f"network left out of that once, half of {near.forecasts} were within {near.median:.0f} %, nine of ten "
                f"within {near.p90:.0f} %; for boards left out of the fit, {away.median:.0f} % and {away.p90:.0f} %."
            )
        return "\n".join(lines)


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The calibration that edgecnn ships."""
    data = json.loads(FILE.read_text())
    boards = data["left_out"].pop("boards")
    return Calibration(
        Parameters(**data["parameters"]),
        Errors(**data["left_out"]),
        len(boards),
        data["own_pace"],
        Errors(**data["left_out_nets"]),
    )
