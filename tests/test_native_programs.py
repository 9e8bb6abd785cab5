"""The C++ tests: kernels and steps on awkward shapes between guard pages, for every instruction set of this machine."""

from __future__ import annotations

import pytest
from native_build import execute, native_build


@pytest.mark.parametrize("program", ["kernel_test", "algo_test", "vision_test"])
def test_program(program: str) -> None:
    print(execute(native_build(program) / program))
