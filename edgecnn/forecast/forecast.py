"""``edgecnn-bench --board``: the forecast of a model on boards."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from edgecnn.errors import InputError, MemoryLimit
from edgecnn.forecast import instrument
from edgecnn.forecast.boards import Board, find_board
from edgecnn.forecast.calibration import calibration
from edgecnn.forecast.counts import Counts
from edgecnn.forecast.timing import milliseconds, needed_worlds

MIB = 1 << 20
# What the operating system and Python keep for themselves.
SYSTEM_MIB = 128
# Of a model this small, caches keep something from frame to frame: its second frame is what counts. Larger ones pass
# through the caches once a frame, so that the first is like any other.
SMALL_MIB = 8


@dataclass(frozen=True)
class Forecast:
    """The forecast time of a frame."""

    model: str
    board: str
    threads: int
    milliseconds: float

    @property
    def fps(self) -> float:
        """Frames a second, of the network alone."""
        return 1e3 / self.milliseconds


def forecast(
    model: str,
    boards: Sequence[str],
    threads: Sequence[int] = (1,),
    weights: Optional[str] = None,
) -> list[Forecast]:
    """Forecasts for a model file on boards, one of each number of threads that a board has cores for.

    Raises
    ------
    InputError
        A board is unknown, or none has so many cores.
    MemoryLimit
        The model does not fit into the memory of a board.
    BackendError
        QEMU, a compiler or ecnn-run is missing.
    """
    chosen = {name: find_board(name) for name in dict.fromkeys(boards)}
    pairs = [(name, count) for name, board in chosen.items() for count in threads if count <= board.cores]
    if not pairs:
        raise InputError(f"--threads {','.join(map(str, threads))}: {', '.join(chosen)} has not so many cores")
    memory = check_memory(model, weights, chosen, max(count for _, count in pairs))
    instrument.qemu()  # before anything is built
    counts: dict[str, Counts] = {}
    with tempfile.TemporaryDirectory(prefix="edgecnn-forecast-") as folder:
        program, steps = compile_for_arm(model, weights, Path(folder))
        for core in dict.fromkeys(board.core for board in chosen.values()):
            needed = {
                world
                for board in chosen.values()
                if board.core == core
                for world in needed_worlds(instrument.WORLDS[core], board, calibration().parameters)
            }
            worlds = [world for world in instrument.WORLDS[core] if world in needed]
            frames = 2 if memory < SMALL_MIB * MIB else 1
            command = [str(instrument.runner()), str(program), "--loops", str(frames)]
            counts[core] = instrument.run(command, core, steps, skip=0, worlds=worlds)
    found = []
    for name, count in pairs:
        board = chosen[name]
        time = milliseconds(counts[board.core], board, count, calibration().parameters)
        time *= calibration().pace(name)
        found.append(Forecast(model, name, count, time))
    return found


def check_memory(model: str, weights: Optional[str], boards: dict[str, Board], threads: int) -> int:
    """Bytes that the model takes; MemoryLimit where a board has not so many to spare."""
    from edgecnn.predictor import required_memory

    if model.lower().endswith(".ecnn"):
        raise InputError(f"{model}: a forecast starts from the model that an .ecnn was made of")
    needed = sum(required_memory(model, weights, threads=threads).values())
    for name, board in boards.items():
        room = board.memory_mib - SYSTEM_MIB
        if needed > room * MIB:
            raise MemoryLimit(
                f"{model} takes {needed / MIB:.0f} MiB; a {board.title} (--board {name}) has {board.memory_mib} MiB, "
                f"of which its system leaves about {room}"
            )
    return needed


def compile_for_arm(model: str, weights: Optional[str], folder: Path) -> tuple[Path, int]:
    """The model as an .ecnn for ARM, and the number of its steps."""
    from edgecnn.importers import import_model
    from edgecnn.passes import run_passes
    from edgecnn.plan import build_plan, find_target

    plan = build_plan(run_passes(import_model(model, weights)), find_target("armv8"))
    path = folder / "model.ecnn"
    plan.save(path)
    return path, len(plan.steps)


def command(
    models: Sequence[tuple[Path, Optional[str]]], boards: Sequence[str], threads: Sequence[int], target: str
) -> int:
    """What ``edgecnn-bench --board`` does: a table, and JSON into the file *target* where that is not empty."""
    from edgecnn.cli import write_json

    if target not in ("", "-"):
        try:
            Path(target).touch()  # better now than after the run
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error.strerror}") from error
    found = [row for model, weights in models for row in forecast(str(model), boards, threads, weights)]
    if target != "-":
        print(table(found))
        print(calibration().sentences(dict.fromkeys(row.board for row in found)))
    if target:
        rows = [{**asdict(row), "fps": row.fps} for row in found]
        errors = {"boards": calibration().left_out, "nets": calibration().left_out_nets}
        percent = {f"left_out_{kind}": error._asdict() for kind, error in errors.items()}
        write_json(target, {"kind": "forecast", "errors_percent": percent, "forecasts": rows})
    return 0


def table(forecasts: Sequence[Forecast]) -> str:
    """The forecasts as text."""
    lines = [f"{'model':<28} {'board':<11} {'threads':>7} {'forecast ms':>12} {'forecast fps':>13}"]
    for row in forecasts:
        name = Path(row.model).name
        lines.append(f"{name:<28} {row.board:<11} {row.threads:>7} {row.milliseconds:>12.1f} {row.fps:>13.1f}")
    return "\n".join(lines)
