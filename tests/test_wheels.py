"""What docker/wheels.py promises of a wheel: nothing that the oldest cores lack, and a platform tag that is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from arm_tools import tool

DOCKER = Path(__file__).resolve().parent.parent / "docker"
COMPILER = "aarch64-linux-gnu-g++"
COMPILER_32 = "arm-linux-gnueabihf-g++"
# One of each kind that a compiler or an assembly file could bring in.
NEWER = {
    "atomics": "ldaddal w0, w1, [x2]",
    "dot product": "sdot v0.4s, v1.16b, v2.16b",
    "half precision": "fadd v0.8h, v1.8h, v2.8h",
    "rounding doubling multiply": "sqrdmlah v0.4s, v1.4s, v2.4s",
    "acquire of processor consistency": "ldapr x0, [x1]",
    "bfloat": "bfdot v0.4s, v1.8h, v2.8h",
    "vectors of any length": "ptrue p0.b",
    "authenticated return": "retaa",
    "unknown": ".inst 0xffffffff",
}


def library(folder: Path, *instructions: str) -> Path:
    """A shared library of these instructions, and of some of each kind that are allowed."""
    allowed = [
        "paciasp",
        "bti c",
        "fmla v0.4s, v1.4s, v2.s[1]",
        "fcvt h0, s0",
        "ldr x0, [x1], #-16",
        "cbz x0, f",
        "ret",
    ]
    lines = [".arch armv8.6-a+fp16+sve", ".globl f", "f:", *allowed, *instructions]
    source, made = folder / "planted.s", folder / "planted.so"
    source.write_text("\n".join(lines) + "\n")
    subprocess.run([tool(COMPILER), "-shared", "-nostdlib", "-o", made, source], check=True)
    return made


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCKER / "instructions.py"), str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("name", sorted(NEWER))
def test_newer_instruction_is_found(name: str, tmp_path: Path) -> None:
    result = check(library(tmp_path, NEWER[name]))
    assert result.returncode == 1
    assert NEWER[name] in result.stdout and " 1 newer than ARMv8.0-A" in result.stdout


def test_base_instructions_pass(tmp_path: Path) -> None:
    result = check(library(tmp_path))
    assert (result.returncode, result.stdout) == (0, "planted.so: 5 distinct instructions, all of ARMv8.0-A\n")


def test_library_of_another_machine_is_refused(tmp_path: Path) -> None:
    tool(COMPILER)
    result = check(Path(sys.executable))
    assert result.returncode != 0 and "no instructions of ARM" in result.stderr


# Newer than ARMv7-A with VFPv3-D16; those that end with True are allowed where the CPU is asked first.
NEWER_32 = {
    "vectors": ("vadd.f32 q0, q1, q2", True),
    "fused multiply-add": ("vfma.f32 s0, s1, s2", True),
    "upper registers": ("vadd.f64 d16, d17, d18", True),
    "rounding": ("vrinta.f32 s0, s1", False),
    "division": ("sdiv r0, r1, r2", False),
    "acquire": ("ldaex r0, [r1]", False),
    "checksum": ("crc32b r0, r1, r2", False),
}


@pytest.mark.parametrize("mode", ["thumb", "arm"])
@pytest.mark.parametrize("name", sorted(NEWER_32))
def test_newer_instruction_is_found_in_32_bits(name: str, mode: str, tmp_path: Path) -> None:
    instruction, of_kernels = NEWER_32[name]
    head = [".syntax unified", ".arch armv8-a", ".arch_extension crc", ".fpu neon-fp-armv8", f".{mode}"]
    allowed = ["f: vmov.f32 s0, #1.0", "ite eq", "addeq r0, r1", "addne r0, r2", "beq f", "bl f", "ldr r0, =0x12345678"]
    end = ["bx lr", ".ltorg", ".word 0xffffffff"]
    source = tmp_path / "planted.s"
    source.write_text("\n".join([*head, *allowed, instruction, *end]) + "\n")
    for made, base in (("a.o", "VFPv3-D16"), ("target_neon32.cc.o", "NEON and VFPv4")):
        subprocess.run([tool(COMPILER_32), "-c", "-o", tmp_path / made, source], check=True)
        result = check(tmp_path / made)
        if of_kernels and made != "a.o":
            assert result.returncode == 0 and f"all of ARMv7-A with {base}" in result.stdout, result.stdout
        else:
            assert result.returncode == 1 and instruction in result.stdout, result.stdout
            assert f" 1 newer than ARMv7-A with {base}" in result.stdout


def test_platform_tag_follows_the_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tool(COMPILER)
    monkeypatch.syspath_prepend(str(DOCKER))
    import wheels

    (tmp_path / "old.cc").write_text("#include <cstdlib>\nint f() { return std::abs(-1); }")
    (tmp_path / "exp.cc").write_text("#include <cmath>\nfloat f(float x) { return std::exp(x); }")
    (tmp_path / "thread.cc").write_text("#include <pthread.h>\nint f(pthread_t t) { return pthread_join(t, nullptr); }")
    tags = []
    for name in ("old", "exp", "thread"):
        command = [compiler, "-shared", "-fPIC", "-o", tmp_path / f"{name}.so", tmp_path / f"{name}.cc", "-pthread"]
        subprocess.run(command, check=True)
        tags.append(wheels.manylinux(tmp_path / f"{name}.so", "aarch64"))
    # expf is of glibc 2.27, and pthread_join has been in libc itself since 2.34.
    assert tags == ["manylinux_2_17_aarch64", "manylinux_2_27_aarch64", "manylinux_2_34_aarch64"]
