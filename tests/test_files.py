"""What is written is whole or not there; a full disk is an error that says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.files import write_whole

# RLIMIT_FSIZE 0 lets no file grow, as a full disk does; the signal would end the process.
FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import edgecnn
import numpy as np
from edgecnn.draw import write_image
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    {call}
except edgecnn.EdgeCNNError as error:
    sys.exit(f"refused: {{error}}")
"""


@pytest.mark.parametrize(
    "call",
    [
        "write_image(r'{folder}/a.png', np.zeros((300, 300, 3), np.uint8))",
        "write_image(r'{folder}/a.jpg', np.zeros((300, 300, 3), np.uint8))",
        "edgecnn.Detector('digits')",
    ],
)
def test_full_disk(call: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"what was here")
    script = FULL_DISK.format(call=call.format(folder=tmp_path))
    environment = {"EDGECNN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.stderr.startswith("refused: ") and "File too large" in run.stderr, run.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [tmp_path / "a.png"] and left[0].read_bytes() == b"what was here"


def test_write_whole(tmp_path: Path) -> None:
    target = tmp_path / "a"
    for data in (b"first", b"second, longer", b""):
        write_whole(target, data)
        assert target.read_bytes() == data and list(tmp_path.iterdir()) == [target]
    write_whole("/dev/null", b"1")
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a", b"1")
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"1")
