"""Finds instructions in what was built for ARM that the oldest cores lack.

    python docker/instructions.py FILE...        (libraries, archives, object files, wheels)

64-bit code is to be ARMv8.0-A: a board with such a core (Raspberry Pi 3 and 4: Cortex-A53, A72) would stop at anything
newer with SIGILL. 32-bit code is to be ARMv7-A with VFPv3-D16, Debian's armhf, but for the kernels that run after a
check of the CPU (target_neon32, peak_neon32), which may be NEON with VFPv4.

Every distinct instruction of the disassembly goes through the assembler again, which is told that there is nothing
else: what it refuses is newer. So the list of what is allowed is the assembler's own, and nothing has to be known here
about atomics (LSE), dot products, half-precision arithmetic, SVE or pointer authentication. Hints of 64-bit code are
exempt: old cores take them for no operation.

In 32-bit code only the symbols of an object file tell code from constants, and one instruction set (Thumb) from the
other. A library or wheel without symbols cannot be checked; the object files it is made of can.
"""

from __future__ import annotations

import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Base:
    """What code may be made of: *options* of the assembler, and how its lines begin."""

    name: str
    triplet: str
    options: tuple[str, ...]
    prologue: str = ""


ARMV8 = Base("ARMv8.0-A", "aarch64-linux-gnu", ("-march=armv8-a",))
ARMV7_OPTIONS = ("-march=armv7-a", "-mfloat-abi=hard", "-mimplicit-it=always")
ARMV7 = Base("ARMv7-A with VFPv3-D16", "arm-linux-gnueabihf", (*ARMV7_OPTIONS, "-mfpu=vfpv3-d16"), ".syntax unified\n")
ARMV7_KERNELS = Base(
    "ARMv7-A with NEON and VFPv4", "arm-linux-gnueabihf", (*ARMV7_OPTIONS, "-mfpu=neon-vfpv4"), ".syntax unified\n"
)
KERNELS = "_neon32"  # in the path of their object files

# One line of objdump: address, word, mnemonic, operands, each behind a tab; of Thumb, one or two halves of a word.
LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{8}|[0-9a-f]{4}(?: [0-9a-f]{4})?) *\t(\S+)\s*(.*)$")
MEMBER = re.compile(r"^(\S+):\s+file format ")
# What is relative to the program counter, and where to, at the end of its operands.
RELATIVE = re.compile(r"(b|bl|b\.\w+|bc\.\w+|cbn?z|tbn?z|adrp?|ldr|ldrsw|prfm)$")
RELATIVE_32 = re.compile(r"(blx?|b(\w\w)?(\.[nw])?|cbn?z)$")
PLACE = re.compile(r"(?<![#\w-])(0x)?[0-9a-f]+( <.*>)?$")
ERROR = re.compile(r"^[^:]*:(\d+): Error: (.*)$")
CONSTANT = re.compile(r"\.(word|short|byte)$")
FLOAT = re.compile(r"vmov\w*\.f(32|64)$")
IF_THEN = re.compile(r"it[te]*$")  # the assembler makes them itself, before each conditional instruction


def binutils(base: Base, name: str) -> str:
    """A program of the binutils that knows the instructions; FileNotFoundError says what to install."""
    found = shutil.which(f"{base.triplet}-{name}")
    if not found and platform.machine() == base.triplet.split("-")[0]:
        found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{base.triplet}-{name} is not installed (Debian: binutils-{base.triplet})")
    return found


def is_hint(word: int) -> bool:
    """The instructions that a 64-bit core without their meaning skips: NOP, BTI, PACIASP ..."""
    return word & 0xFFFFF01F == 0xD503201F


def bases(library: Path) -> tuple[Base, Base]:
    """What the code of a file may be made of, and its kernels, by the machine its first ELF header names."""
    content = library.read_bytes()
    at = content.find(b"\x7fELF")
    machine = struct.unpack_from("<H", content, at + 18)[0] if 0 <= at <= len(content) - 20 else 0
    if machine == 183:
        return ARMV8, ARMV8
    if machine == 40:
        return ARMV7, ARMV7_KERNELS
    raise ValueError(f"{library}: no instructions of ARM in it")


def disassemble(library: Path) -> dict[Base, dict[str, str]]:
    """Each distinct instruction, as the assembler reads it, and where it stands first."""
    common, kernels = bases(library)
    command = [binutils(common, "objdump"), "-d", *(["-M", "no-aliases"] if common == ARMV8 else []), str(library)]
    listing = subprocess.run(command, capture_output=True, text=True).stdout
    found: dict[Base, dict[str, str]] = {}
    member = str(library)
    for line in listing.splitlines():
        header = MEMBER.match(line)
        if header:
            member = header[1]
        match = LINE.match(line)
        if not match:
            continue
        text = _text(common, match)
        if text:
            here = found.setdefault(kernels if KERNELS in member else common, {})
            here.setdefault(text, f"{match[1]}: {match[2]}")
    return found


def _text(base: Base, line: re.Match[str]) -> str:
    """The instruction of a line as the assembler reads it; empty where there is none."""
    mnemonic, operands = line[3], re.split(r"//|;|\s@\s", line[4])[0].strip()
    if base == ARMV8:
        if is_hint(int(line[2], 16)) or int(line[2], 16) == 0:  # zeros are padding
            return ""
        if RELATIVE.match(mnemonic):
            operands = PLACE.sub(".", operands)
        return f"{mnemonic} {operands}"
    if "UNDEFINED" in line[0]:
        return "unknown"
    if CONSTANT.match(mnemonic) or IF_THEN.match(mnemonic):
        return ""
    if RELATIVE_32.match(mnemonic):
        operands = PLACE.sub(".+4", operands)
    if FLOAT.match(mnemonic):  # an immediate number is shown by its code
        operands = re.sub("#.*", "#1.0", operands)
    return f"{'.arm' if len(line[2]) == 8 else '.thumb'}; {mnemonic} {operands}"


def newer_instructions(library: Path) -> Iterator[tuple[Base, int, list[str]]]:
    """By what it may be made of: how many distinct instructions there are, and a line for each that is newer."""
    found = disassemble(library)
    if not found:
        raise ValueError(f"{library}: no instructions of ARM in it")
    for base, instructions in found.items():
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "all.s"
            # What the disassembler does not know either is a number to it (.inst), which the assembler would take.
            lines = "".join(f"{text}\n".replace(".inst ", "unknown ") for text in instructions)
            source.write_text(base.prologue + lines)
            command = [binutils(base, "as"), *base.options, "-o", str(source.with_suffix(".o")), str(source)]
            errors = subprocess.run(command, capture_output=True, text=True).stderr
        places = list(instructions.items())
        newer = []
        for line in errors.splitlines():
            match = ERROR.match(line)
            if match:
                text, place = places[int(match[1]) - 1 - base.prologue.count("\n")]
                newer.append(f"{place}  {text.split('; ')[-1]}  ({match[2]})")
        yield base, len(instructions), newer


def check(path: Path, objects: Sequence[Path] = ()) -> bool:
    """Prints the verdict on a library, or on the libraries in a wheel; whether it is good.

    Where *objects* are given, those files are looked at in its place.
    """
    with tempfile.TemporaryDirectory() as folder:
        libraries = list(objects) or [path]
        if path.suffix == ".whl" and not objects:
            with zipfile.ZipFile(path) as wheel:
                libraries = [Path(wheel.extract(n, folder)) for n in wheel.namelist() if n.endswith(".so")]
        counts: dict[Base, int] = {}
        newer: dict[Base, list[str]] = {}
        for library in libraries:
            for base, count, lines in newer_instructions(library):
                counts[base] = counts.get(base, 0) + count
                newer.setdefault(base, []).extend(lines)
    for base, count in counts.items():
        verdict = f"{len(newer[base])} newer than {base.name}:" if newer[base] else f"all of {base.name}"
        print(f"{path.name}: {count} distinct instructions, {verdict}")
        for line in newer[base]:
            print(f"  {line}")
    return bool(counts) and not any(newer.values())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} FILE...")
    sys.exit(0 if all([check(Path(name)) for name in sys.argv[1:]]) else 1)
