"""Finds instructions in a 64-bit ARM library that the oldest cores lack: anything newer than ARMv8.0-A.

    python docker/instructions.py FILE...        (libraries, archives, wheels)

A board with such a core (Raspberry Pi 3 and 4: Cortex-A53, A72) would stop at one with SIGILL. Every distinct
instruction of the disassembly goes through the assembler again, which is told that there is only ARMv8.0-A: what it
refuses is newer. So the list of what is allowed is the assembler's own, and nothing has to be known here about atomics
(LSE), dot products, half-precision arithmetic, SVE or pointer authentication. Hints are exempt: old cores take them for
no operation.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TRIPLET = "aarch64-linux-gnu"
# One line of objdump: address, word, mnemonic, operands, each behind a tab.
LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{8}) *\t(\S+)\s*(.*)$")
# What is relative to the program counter, and where to, at the end of its operands.
RELATIVE = re.compile(r"(b|bl|b\.\w+|bc\.\w+|cbn?z|tbn?z|adrp?|ldr|ldrsw|prfm)$")
PLACE = re.compile(r"(?<![#\w-])(0x)?[0-9a-f]+( <.*>)?$")
ERROR = re.compile(r"^[^:]*:(\d+): Error: (.*)$")


def binutils(name: str) -> str:
    """A program of the binutils that knows 64-bit ARM; FileNotFoundError says what to install."""
    found = shutil.which(f"{TRIPLET}-{name}")
    if not found and platform.machine() == "aarch64":
        found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{TRIPLET}-{name} is not installed (Debian: binutils-{TRIPLET})")
    return found


def is_hint(word: int) -> bool:
    """The instructions that a core without their meaning skips: NOP, BTI, PACIASP ..."""
    return word & 0xFFFFF01F == 0xD503201F


def disassemble(library: Path) -> dict[str, str]:
    """Each distinct instruction, as the assembler reads it, and where it stands first."""
    command = [binutils("objdump"), "-d", "-M", "no-aliases", str(library)]
    listing = subprocess.run(command, capture_output=True, text=True).stdout
    found: dict[str, str] = {}
    for line in listing.splitlines():
        match = LINE.match(line)
        if not match or is_hint(int(match[2], 16)) or int(match[2], 16) == 0:  # zeros are padding
            continue
        operands = re.split("//|;", match[4])[0].strip()
        if RELATIVE.match(match[3]):
            operands = PLACE.sub(".", operands)
        found.setdefault(f"{match[3]} {operands}", f"{match[1]}: {match[2]}")
    return found


def newer_instructions(library: Path) -> tuple[int, list[str]]:
    """How many distinct instructions a library or archive has, and a line for each that ARMv8.0-A does not have."""
    found = disassemble(library)
    if not found:
        raise ValueError(f"{library}: no instructions of 64-bit ARM in it")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "all.s"
        # What the disassembler does not know either is a number to it (.inst), which the assembler would take.
        source.write_text("".join(f"{text}\n".replace(".inst ", "unknown ") for text in found))
        command = [binutils("as"), "-march=armv8-a", "-o", str(source.with_suffix(".o")), str(source)]
        errors = subprocess.run(command, capture_output=True, text=True).stderr
    instructions = list(found.items())
    newer = []
    for line in errors.splitlines():
        match = ERROR.match(line)
        if match:
            text, place = instructions[int(match[1]) - 1]
            newer.append(f"{place}  {text}  ({match[2]})")
    return len(found), newer


def check(path: Path) -> bool:
    """Prints the verdict on a library, or on the libraries in a wheel; whether it is good."""
    with tempfile.TemporaryDirectory() as folder:
        libraries = [path]
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                libraries = [Path(wheel.extract(n, folder)) for n in wheel.namelist() if n.endswith(".so")]
        good = bool(libraries)
        for library in libraries:
            count, newer = newer_instructions(library)
            verdict = f"{len(newer)} newer than ARMv8.0-A:" if newer else "all of ARMv8.0-A"
            print(f"{path.name}: {count} distinct instructions, {verdict}")
            for line in newer:
                print(f"  {line}")
            good = good and not newer
    return good


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} FILE...")
    sys.exit(0 if all([check(Path(name)) for name in sys.argv[1:]]) else 1)
