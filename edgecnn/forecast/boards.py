"""Boards and their memory, as data. A core is a page in ``cores/``, with the latencies of its instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from edgecnn.errors import InputError


@dataclass(frozen=True)
class Board:
    """A board as the forecast knows it.

    Attributes
    ----------
    title : str
        What it is called, and its chip.
    core : str
        The page of its cores; of one cluster where there are two.
    ghz : float
        The clock at which it runs for as long as one likes.
    cores : int
        Of that kind.
    l2_kib : int
        The second-level cache that they share, or that each has.
    memory_mib : int
        Memory of the smallest model of the board.
    bandwidth : float
        GB/s that its memory sustains: the larger of what ``memset``, and twice what ``memcpy``, reaches. From
        ThomasKaiser/sbc-bench (Results.md), unless a comment says otherwise.
    """

    title: str
    core: str
    ghz: float
    cores: int
    l2_kib: int
    memory_mib: int
    bandwidth: float


BOARDS: dict[str, Board] = {
    "zero2w": Board("Raspberry Pi Zero 2 W (BCM2710A1)", "cortex-a53", 1.0, 4, 512, 512, 2.6),
    # The chip and memory of the Zero 2 W, which was tested at this clock, too.
    "rpi3b": Board("Raspberry Pi 3B (BCM2837)", "cortex-a53", 1.2, 4, 512, 1024, 2.6),
    "rpi3b+": Board("Raspberry Pi 3B+ (BCM2837B0)", "cortex-a53", 1.4, 4, 512, 1024, 2.4),
    # Four fifths of its bus, 32 bits of LPDDR3 at 533 MHz.
    "sd410": Board("Snapdragon 410 (DragonBoard 410c)", "cortex-a53", 1.2, 4, 512, 1024, 3.4),
    "rk3328": Board("Rockchip RK3328 (Rock64)", "cortex-a53", 1.3, 4, 256, 1024, 5.7),
    "rk3228h": Board("Rockchip RK3228H, a sibling of the RK3328", "cortex-a53", 1.3, 4, 256, 1024, 5.7),
    # That of its predecessor H5.
    "h616": Board("Allwinner H616 (Orange Pi Zero 2)", "cortex-a53", 1.5, 4, 256, 512, 3.7),
    # With the makers' kernel 4.4; others reach 8.4.
    "rk3399-a53": Board("Rockchip RK3399, its four Cortex-A53", "cortex-a53", 1.5, 4, 512, 2048, 5.5),
    # LPDDR4 as well; taken to do as the RK3399.
    "rdkx3": Board("Horizon RDK X3 (Sunrise X3M)", "cortex-a53", 1.5, 4, 512, 2048, 5.5),
    "ax630c": Board("Axera AX630C", "cortex-a53", 1.2, 2, 256, 1024, 5.5),
    "unoq": Board("Arduino Uno Q (QRB2210)", "cortex-a53", 2.0, 4, 512, 2048, 5.5),
}


def find_board(name: str) -> Board:
    """The board of that name; InputError with the names of all where there is none."""
    board: Optional[Board] = BOARDS.get(name.lower())
    if board is None:
        rows = "\n".join(f"  {key:<11} {value.title}, {value.ghz} GHz" for key, value in BOARDS.items())
        raise InputError(f"--board {name}: unknown; the boards are\n{rows}")
    return board
