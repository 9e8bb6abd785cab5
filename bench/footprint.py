"""What edgecnn costs on the device: wheel size, installed size, import time, peak memory of one frame.

    python bench/footprint.py [MODEL.cfg|MODEL.onnx [WEIGHTS]]

Builds the wheel from this repository, installs it with numpy alone into a fresh virtual environment in a temporary
folder, and measures there in processes of their own. Without a model it runs the shipped `digits`. Import time is
that beyond numpy's own: the minimum of several fresh processes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IMPORT_RUNS = 10

TIME_IMPORT = """
import numpy, time
t = time.perf_counter()
import edgecnn
print(time.perf_counter() - t)
"""

ONE_FRAME = """
import resource, sys, time
import numpy as np
import edgecnn
t = time.perf_counter()
model, *weights = sys.argv[1:]
if model == "digits":
    from edgecnn import zoo
    files = zoo.resolve(model)
    model, weights = files.model, [files.weights]
p = edgecnn.load(model, *weights, backend="native", threads=1)
loaded = time.perf_counter()
x = np.zeros(p.inputs[0].shape, np.float32)
p.run(x)
first = time.perf_counter()
p.run(x)
warm = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
times = f"load {(loaded - t) * 1e3:.1f} ms, first frame {(first - loaded) * 1e3:.1f} ms"
print(f"{times}, second {(warm - first) * 1e3:.1f} ms, peak RSS {peak:.1f} MiB")
"""

NUMPY_ALONE = """
import resource
import numpy
print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")
"""


def output_of(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a command and returns what it printed."""
    return subprocess.run(
        [str(c) for c in command], check=True, cwd=cwd, text=True, stdout=subprocess.PIPE
    ).stdout.strip()


def size_mib(path: Path) -> float:
    """Bytes of a file, or of the files below a folder (byte code left out), in MiB."""
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file() and f.suffix != ".pyc"]
    return sum(f.stat().st_size for f in files) / 2**20


def main() -> None:
    model = [str(Path(a).resolve()) for a in sys.argv[1:]] or ["digits"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output_of(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, REPOSITORY)
        (wheel,) = folder.glob("edgecnn-*.whl")
        output_of(sys.executable, "-m", "venv", folder / "venv")
        python = folder / "venv" / "bin" / "python"
        output_of(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
        site = Path(
            output_of(python, "-c", "import edgecnn, pathlib; print(pathlib.Path(edgecnn.__file__).parent)", cwd=folder)
        )
        print(f"wheel {wheel.name}: {size_mib(wheel):.2f} MiB")
        print(f"installed, without numpy: {size_mib(site):.2f} MiB")
        times = [float(output_of(python, "-c", TIME_IMPORT, cwd=folder)) for _ in range(IMPORT_RUNS)]
        print(f"import edgecnn beyond numpy: min {min(times) * 1e3:.1f} ms of {IMPORT_RUNS}")
        print(f"python + numpy alone: peak RSS {output_of(python, '-c', NUMPY_ALONE, cwd=folder)} MiB")
        print(f"{Path(model[0]).name}: {output_of(python, '-c', ONE_FRAME, *model, cwd=folder)}")


if __name__ == "__main__":
    main()
