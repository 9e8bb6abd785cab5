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
        GB/s that its memory sustains: the mean of what ``memset``, and twice what ``memcpy``, reaches.
    latency : float
        Nanoseconds that a random read of 16 MiB takes.
    same_as : str
        The name of the same board at another clock, whose published times count for this one.

    Both were measured with tinymembench by ThomasKaiser/sbc-bench, whose report (Results.md, results/) a comment names.
    """

    title: str
    core: str
    ghz: float
    cores: int
    l2_kib: int
    memory_mib: int
    bandwidth: float
    latency: float
    same_as: str = ""


BOARDS: dict[str, Board] = {
    "zero2w": Board("Raspberry Pi Zero 2 W (BCM2710A1)", "cortex-a53", 1.0, 4, 512, 512, 2.1, 166),  # 3E85
    # The chip and memory of the Zero 2 W.
    "rpi3b": Board("Raspberry Pi 3B (BCM2837)", "cortex-a53", 1.2, 4, 512, 1024, 2.1, 166),
    "rpi3b+": Board("Raspberry Pi 3B+ (BCM2837B0)", "cortex-a53", 1.4, 4, 512, 1024, 2.0, 179),  # 1iI5, 1ism
    "rpi4b": Board(
        "Raspberry Pi 4B (BCM2711)", "cortex-a72", 1.5, 4, 1024, 1024, 4.2, 154, same_as="rpi4b-1.8"
    ),  # RPi-4B-Rev1.1
    "rpi4b-1.8": Board("Raspberry Pi 4B or 400 at 1.8 GHz", "cortex-a72", 1.8, 4, 1024, 1024, 4.0, 154),  # 3InF
    "rpi5": Board("Raspberry Pi 5 (BCM2712)", "cortex-a76", 2.4, 4, 2048, 1024, 9.4, 140),  # RPi-5B-Rev1.0
    "rk3328": Board("Rockchip RK3328 (Rock64)", "cortex-a53", 1.3, 4, 256, 1024, 4.3, 146),  # Pine64-Rock64
    "rk3228h": Board("Rockchip RK3228H, a sibling of the RK3328", "cortex-a53", 1.3, 4, 256, 1024, 4.3, 146),
    # With the makers' kernel 4.4; with others their memory is faster.
    "rk3399-a53": Board("Rockchip RK3399, its four Cortex-A53", "cortex-a53", 1.5, 4, 512, 2048, 5.2, 204),  # 1lBC
    "rk3399": Board("Rockchip RK3399, its two Cortex-A72", "cortex-a72", 1.8, 2, 1024, 2048, 5.2, 204),
    # The bandwidth of its predecessor H5, with DDR3 as well; the latency of its sibling H618, OrangePi-Zero2W.
    "h616": Board("Allwinner H616 (Orange Pi Zero 2)", "cortex-a53", 1.5, 4, 256, 512, 2.9, 208),
    # Not in those reports: two thirds of its bus, 32 bits of LPDDR3 at 533 MHz, and the usual latency.
    "sd410": Board("Snapdragon 410 (DragonBoard 410c)", "cortex-a53", 1.2, 4, 512, 1024, 2.8, 170),
    # Nor these, with LPDDR4: the RK3399's bandwidth, and the usual latency.
    "rdkx3": Board("Horizon RDK X3 (Sunrise X3M)", "cortex-a53", 1.5, 4, 512, 2048, 5.2, 170),
    "ax630c": Board("Axera AX630C", "cortex-a53", 1.2, 2, 256, 1024, 5.2, 170),
    "unoq": Board("Arduino Uno Q (QRB2210)", "cortex-a53", 2.0, 4, 512, 2048, 5.2, 170),
}


def find_board(name: str) -> Board:
    """The board of that name; InputError with the names of all where there is none."""
    board: Optional[Board] = BOARDS.get(name.lower())
    if board is None:
        known = "; ".join(f"{key}: {value.title}, {value.ghz} GHz" for key, value in BOARDS.items())
        raise InputError(f"--board {name}: unknown; choose of {known}")
    return board
