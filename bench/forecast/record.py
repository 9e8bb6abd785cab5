"""Counts of ncnn's own networks on a modelled core, for calibrate.py.

python bench/forecast/record.py ROOT PARAMS CORE [NET...]

ROOT is an arm64 root filesystem with Python and, in opt/py, the ncnn wheel; PARAMS the folder with the .param files of
ncnn's benchmark. Writes bench/forecast/counts/CORE/NET.json. It takes minutes a core; calibrate.py needs no new run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgecnn.forecast import instrument

HERE = Path(__file__).resolve().parent

# Width and height of what benchncnn gives them; 224 for all others.
SIZES = {
    "squeezenet": 227,
    "mobilenet_ssd": 300,
    "mobilenet_yolo": 416,
    "nanodet_m": 320,
    "yolo-fastest-1.1": 320,
    "yolov4-tiny": 416,
}


def record(root: Path, params: Path, core: str, net: str) -> None:
    """Runs one network and writes its counts."""
    param = params / f"{net}.param"
    layers = len(param.read_text().splitlines()) - 2
    size = str(SIZES.get(net, 224))
    command = [str(root / "usr/bin/python3"), str(HERE / "ncnn_guest.py"), str(param), size, size, "3"]
    guest = {"PYTHONPATH": str(root / "opt/py"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    counts = instrument.run(command, core, layers, root=root, guest=guest)
    target = HERE / "counts" / core / f"{net}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(counts.to_json())
    cycles = ", ".join(f"{counts.cycles(k).sum() / 1e6:.1f}" for k in range(len(counts.worlds)))
    print(f"{core} {net}: {cycles} million cycles", flush=True)


def main() -> None:
    root, params, core = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    for net in sys.argv[4:] or sorted(path.stem for path in params.glob("*.param")):
        record(root, params, core, net)


main()
