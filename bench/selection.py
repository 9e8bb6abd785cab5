"""How well the planner's estimates choose kernels on this machine: every layer with a choice, of all models given.

    python bench/selection.py [--fit] MODEL...

Prints for each layer what every candidate is estimated to cost and what it takes, measured in the running network
(edgecnn/tuning.py), whether the estimate chose the fastest, and the milliseconds it loses where not; then sums over all
models. ``--fit`` adds for each kernel the nanoseconds of a vector operation (median and range over layers): the
constants in edgecnn/plan/select.py are right when these agree between the kernels of a layer. Nothing is kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from edgecnn.importers import import_model
from edgecnn.passes import run_passes
from edgecnn.tuning import TunedLayer, measure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="model files")
    parser.add_argument("--fit", action="store_true", help="print nanoseconds of a vector operation by kernel")
    options = parser.parse_args()
    layers: list[TunedLayer] = []
    chosen = 0.0
    for path in options.models:
        verdict = measure(run_passes(import_model(path)), path.stem, 1)
        print(verdict, flush=True)
        layers += verdict.layers
        chosen += verdict.estimated_ms
    right = sum(layer.loss == 0 for layer in layers)
    near = sum(layer.loss <= 0.05 * (layer.best.ms or 0) for layer in layers)
    lost = sum(layer.loss for layer in layers)
    print(
        f"\n{len(options.models)} models, {len(layers)} layers with a choice: estimates took the fastest for {right}, "
        f"within 5 % of it for {near}; they lose {lost:.3f} ms of {chosen:.3f} ({100 * lost / chosen:.2f} %)"
    )
    if options.fit:
        rates: dict[str, list[float]] = defaultdict(list)
        for layer in layers:
            for c in layer.candidates:
                rates[c.kernel].append((c.ms or 0) * 1e6 / c.cost)
        for kernel, values in rates.items():
            print(
                f"{kernel:<14} {statistics.median(values):.3f} ns a vector operation "
                f"({min(values):.3f} to {max(values):.3f}, {len(values)} layers)"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
