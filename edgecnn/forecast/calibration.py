"""The fitted parameters, and how far forecasts with them were from published times: calibration.json, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgecnn.forecast.timing import Parameters

FILE = Path(__file__).resolve().parent / "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """What bench/forecast/calibrate.py has found.

    Attributes
    ----------
    parameters : Parameters
        Fitted on all boards.
    median, p90 : float
        Of the relative errors of forecasts for boards that were left out of the fit, in percent.
    count, boards : int
        Of those forecasts, and of the boards.
    """

    parameters: Parameters
    median: float
    p90: float
    count: int
    boards: int

    def sentence(self) -> str:
        """What is printed with every forecast."""
        return (
            f"Forecasts, not measurements. Of {self.count} such forecasts of ncnn's published times, each for a board "
            f"left out of the fit ({self.boards} boards), half were within {self.median:.0f} %, nine of ten within "
            f"{self.p90:.0f} %."
        )


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The calibration that edgecnn ships."""
    data = json.loads(FILE.read_text())
    errors = data["left_out"]
    parameters = Parameters(**data["parameters"])
    return Calibration(parameters, errors["median"], errors["p90"], errors["count"], len(errors["boards"]))
