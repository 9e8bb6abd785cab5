"""The forecast: decoding, the models of cores on traces whose time is known, counting under QEMU, and bad input."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecnn.benchmark.cli import main
from edgecnn.errors import BackendError, InputError, MemoryLimit
from edgecnn.forecast import forecast, instrument
from edgecnn.forecast.boards import BOARDS, find_board
from edgecnn.forecast.calibration import calibration
from edgecnn.forecast.counts import Counts, parse_report, read_counts
from edgecnn.forecast.timing import Parameters, milliseconds, needed_worlds

PLUGIN = Path(instrument.__file__).parent / "plugin"
CORES = Path(instrument.__file__).parent / "cores"
TRACE = Path(__file__).parent / "forecast_trace.c"
DATA = 0x10000

# Words as the GNU assembler makes them.
FMLA = [0x4E38CE00, 0x4E38CE01, 0x4E38CE02]  # fmla v0..v2.4s, v16.4s, v24.4s
FADD = 0x4E30D400  # fadd v0.4s, v0.4s, v16.4s
ADDS = [0x910004A5, 0x910004C6]  # add x5, x5, #1; add x6, x6, #1
LDR_Q, LDP_Q = 0x3DC00034, 0xAD405834
LDR_D, INS, LDR_X, ADD = 0xFD400034, 0x4E181C75, 0xF9400023, 0x91004021
CHASE = 0xF94000E7  # ldr x7, [x7]


@pytest.fixture(scope="session")
def trace_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models without QEMU."""
    if not shutil.which("cc"):
        pytest.skip("cc is not installed")
    program = tmp_path_factory.mktemp("forecast") / "trace"
    sources = [TRACE, *(path for path in PLUGIN.glob("*.c") if path.name != "plugin.c")]
    command = ["cc", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{PLUGIN}", "-o", program, *sources]
    subprocess.run([str(part) for part in command], check=True)
    return program


def run_trace(program: Path, page: Path, lines: list[str], turns: int, dram: int = 100, step: int = 0) -> list[str]:
    """What the program says: the classes of the instructions, then the cycles of all turns."""
    arguments = [str(program), str(page), str(dram), str(turns), str(step)]
    done = subprocess.run(arguments, input="\n".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def cycles_a_turn(program: Path, core: str, words: list[int], loads: set[int], dram: int = 100, step: int = 0) -> float:
    """Cycles that the instructions take in the long run."""
    lines = [f"{word:x} {DATA:x}" if word in loads else f"{word:x}" for word in words]
    took = [int(run_trace(program, CORES / f"{core}.txt", lines, turns, dram, step)[-1]) for turns in (1000, 2000)]
    return (took[1] - took[0]) / 1000


@pytest.mark.parametrize(
    ("words", "a53", "a72"),
    [
        (FMLA[:1], 4, 3),  # the accumulator is forwarded
        (FMLA, 4, 3),
        ([FADD], 4, 4),
        (ADDS, 1, 1),
        ([LDR_Q], 2, 1),
        ([LDP_Q], 4, 2),
        ([LDR_D, INS, FMLA[0], LDR_X, FMLA[1], ADD, FMLA[2]], 4, None),  # the pattern that A53 kernels are made of
        ([LDR_Q, *FMLA], 5, 3),
        ([CHASE], 3, 4),
    ],
)
def test_cycles_of_loops(trace_program: Path, words: list[int], a53: float, a72: float | None) -> None:
    loads = {LDR_Q, LDP_Q, LDR_D, LDR_X, CHASE}
    assert cycles_a_turn(trace_program, "cortex-a53", words, loads) == pytest.approx(a53, rel=0.02)
    if a72 is not None:
        assert cycles_a_turn(trace_program, "cortex-a72", words, loads) == pytest.approx(a72, rel=0.02)


@pytest.mark.parametrize(("words", "cycles"), [(FMLA[:1], 2), ([FADD], 2), (ADDS[:1], 1), ([CHASE], 4)])
def test_latencies_of_a76(trace_program: Path, words: list[int], cycles: float) -> None:
    """Those of Arm's guide: chains through the accumulator, a sum, an integer, an address."""
    assert cycles_a_turn(trace_program, "cortex-a76", words, {CHASE}) == pytest.approx(cycles, rel=0.05)


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72", "cortex-a76"])
def test_dram_is_waited_for(trace_program: Path, core: str) -> None:
    near = cycles_a_turn(trace_program, core, [CHASE], {CHASE}, dram=50, step=8256)
    far = cycles_a_turn(trace_program, core, [CHASE], {CHASE}, dram=250, step=8256)
    assert far - near == pytest.approx(200, rel=0.01)


def test_a_load_waits_for_a_store_of_the_same_data(trace_program: Path) -> None:
    page = CORES / "cortex-a72.txt"
    store, load = f"{0x3D800020:x} {DATA:x}", 0x3DC00020  # str q0, [x1]; ldr q0, [x1]
    same, other = (
        int(run_trace(trace_program, page, [store, f"{load:x} {address:x}"], 1000)[-1]) / 1000
        for address in (DATA, DATA + 512)
    )
    assert same == pytest.approx(9, rel=0.02)  # five from store to load, and what a load takes
    assert other < 3


def test_a_stream_is_prefetched(trace_program: Path) -> None:
    near, far = (cycles_a_turn(trace_program, "cortex-a53", [LDR_Q], {LDR_Q}, dram, step=64) for dram in (50, 250))
    assert far < near + 80


def test_decoding(trace_program: Path) -> None:
    known = {
        0x4F831041: "fma_q",  # fmla v1.4s, v2.4s, v3.s[0]
        0x1F031041: "fma_d",  # fmadd s1, s2, s3, s4
        0x6E22DC41: "fmul_q",
        0x6E22FC41: "fdiv_q",
        0x0E638041: "long",  # smlal v1.4s, v2.4h, v3.4h
        0x4E606841: "simdacc_q",  # sadalp v1.4s, v2.8h
        0x4E839441: "dot_q",  # sdot v1.4s, v2.16b, v3.16b
        0x4E833841: "perm_q",  # zip1
        0x9E660041: "from_v",
        0x9AC30C41: "div",
        0x9B031041: "mul",
        0x54000001: "branch",
        0x4CDF28A1: "loadv_4q",  # ld1 {v1.4s-v4.4s}, [x5], #64
        0xA9BF0BE1: "store_pair",
        0xD53BD041: "system",
        0xD503201F: "nop",
    }
    classes = run_trace(trace_program, CORES / "cortex-a53.txt", [f"{word:x}" for word in known], 1)[:-1]
    assert classes == list(known.values())


def test_a_damaged_page_is_refused(trace_program: Path, tmp_path: Path) -> None:
    text = (CORES / "cortex-a53.txt").read_text()
    without = "\n".join(line for line in text.splitlines() if not line.startswith("class fma_"))
    misspelt = text.replace("class mul ", "class mull ")
    for damaged, complaint in ((misspelt, "not a line of a core's page"), (without, "no row for the class fma_d")):
        page = tmp_path / "page.txt"
        page.write_text(damaged)
        done = subprocess.run([str(trace_program), str(page), "1", "1", "0"], capture_output=True, text=True, input="")
        assert done.returncode == 1 and complaint in done.stderr


# A thousand turns of seven instructions between the marks.
PROGRAM = """
.global _start
_start: ldr x1, =data
        hint #96
        mov x2, #1000
1:      fmla v0.4s, v16.4s, v24.4s
        fmla v1.4s, v16.4s, v24.4s
        ldr q20, [x1]
        str q20, [x1, #16]
        add x3, x3, #1
        subs x2, x2, #1
        b.ne 1b
        hint #97
        mov x0, #0
        mov x8, #93
        svc #0
        .data
        .balign 64
data:   .skip 64
.section .note.GNU-stack
"""


def test_instructions_are_counted_under_qemu(tmp_path: Path) -> None:
    for tool in ("aarch64-linux-gnu-gcc", instrument.QEMU, "cc"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    source, program = tmp_path / "program.s", tmp_path / "program"
    source.write_text(PROGRAM)
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-nostdlib", source, "-o", program], check=True)
    counts = instrument.run([str(program)], "cortex-a53", steps=1, skip=0)
    assert counts.intervals[:, 0].sum() == pytest.approx(7000, abs=10)
    # fmla and the branch before it; fmla; ldr for two; str when the data are there, five after; add and subs: eight.
    assert counts.cycles(0).sum() == pytest.approx(8000, rel=0.03)


def made_up_counts() -> Counts:
    """An interval that computes, and one that moves data."""
    rows = [[1e6, 0, 0, 1e6, 1e3, 0, 2e6, 1e3, 0], [1e6, 0, 0, 1e6, 1e5, 1e5, 5e6, 1e5, 1e5]]
    return Counts("cortex-a53", 10, [(512, 100), (512, 300)], np.array(rows))


def test_time_follows_clock_threads_and_bandwidth() -> None:
    board = BOARDS["rpi3b"]
    pure = Parameters(latency=100 / 166, bandwidth=1e6, sync_kinstructions=0, sharpness=4)
    one, four = (milliseconds(made_up_counts(), board, threads, pure) for threads in (1, 4))
    # 120 cycles to DRAM: a tenth of the way from the first world to the second.
    assert one == pytest.approx((1.1e6 + 1.4e6) / 1.2e6, rel=1e-6)
    assert four == pytest.approx(one / 4, rel=1e-6)
    bound = Parameters(latency=100 / 166, bandwidth=1, sync_kinstructions=50, sharpness=50)
    slow = milliseconds(made_up_counts(), board, 4, bound)
    lost = 10 * 50e3 * 2.5e6 / 2e6 / 1.2e6  # at the frame's mean of 1.25 cycles an instruction
    assert slow == pytest.approx(1.1e6 / 1.2e6 / 4 + 2e5 * 64 / 2.1e6 + lost, rel=0.02)


def test_only_the_needed_worlds_are_followed() -> None:
    worlds = [(512, 80), (512, 160), (512, 320), (256, 160)]
    fitted = Parameters(latency=1, bandwidth=1, sync_kinstructions=0, sharpness=2)
    assert needed_worlds(worlds, BOARDS["zero2w"], fitted) == [(512, 160), (512, 320)]
    assert needed_worlds(worlds, BOARDS["zero2w"], Parameters(0.5, 1, 0, 2)) == [(512, 80), (512, 160)]
    assert needed_worlds(worlds, BOARDS["rk3328"], fitted) == worlds


def test_counts_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text(made_up_counts().to_json())
    again = read_counts(path)
    assert again.worlds == [(512, 100), (512, 300)] and again.steps == 10
    np.testing.assert_array_equal(again.intervals, made_up_counts().intervals)
    assert made_up_counts().grouped(1).intervals.shape == (1, 9)
    text = "region 0\ninterval 9 9 9 9 9 9\nregion 1\ninterval 1 2 3 4 5 6\ninterval 1 2 3 4 5 6\n"
    assert parse_report(text, "cortex-a53", 1, [(512, 100)]).intervals.tolist() == [[1, 2, 3, 4, 5, 6]] * 2


def test_the_calibration_says_how_good_it_is() -> None:
    found = calibration()
    for errors in (found.left_out, found.left_out_nets):
        assert 0 < errors.median < errors.p90 < 100 and errors.forecasts > 100
    assert "Forecasts, not measurements" in found.sentences(["rpi3b"])
    assert "left out of the fit" in found.sentences(["rpi3b"]) and "same board" not in found.sentences(["rpi3b"])
    assert "same board (zero2w 1." in found.sentences(["zero2w"])
    assert found.pace("rpi3b") == 1 and found.pace("rpi4b") == found.own_pace["rpi4b-1.8"]


def test_unknown_board_lists_the_boards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--board", "rpi9", "tests/nothing.onnx"]) != 0
    assert "rpi3b+" in capsys.readouterr().err
    with pytest.raises(InputError, match="zero2w"):
        find_board("nonsense")


def test_more_threads_than_cores() -> None:
    with pytest.raises(InputError, match="has not so many cores"):
        forecast.forecast("model.onnx", ["rpi3b"], [8])


def test_too_large_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.predictor.required_memory", lambda *_, **__: {"weights": 500 << 20})
    with pytest.raises(MemoryLimit, match=r"takes 500 MiB; .*zero2w.* has 512 MiB"):
        forecast.forecast("model.onnx", ["zero2w"], [1])


def test_an_unwritable_output_is_known_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--board", "rpi3b", "--json", str(tmp_path / "no" / "file.json"), "model.onnx"]) != 0
    assert "cannot be written" in capsys.readouterr().err


def test_no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrument.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(instrument.shutil, "which", lambda name: None)
    with pytest.raises(BackendError, match="apt-get install qemu-user"):
        instrument.qemu()


def test_wrong_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrument.platform, "machine", lambda: "aarch64")
    with pytest.raises(BackendError, match="without --board measures"):
        instrument.qemu()


def test_no_compiler_and_no_runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "plans"))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BackendError, match="apt-get install gcc"):
        instrument.build_plugin()
    monkeypatch.setenv("CC", "false")
    with pytest.raises(BackendError, match="could not compile"):
        instrument.build_plugin()
    monkeypatch.setenv("EDGECNN_RUN", str(tmp_path / "nothing"))
    with pytest.raises(BackendError, match="there is no such file"):
        instrument.runner()
