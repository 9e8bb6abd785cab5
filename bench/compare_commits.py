"""Which of two commits is faster, and whether the difference is more than noise.

    python bench/compare_commits.py A B [--models MODEL...] [--weights random] [--threads 1,2] [--json FILE]

Builds both commits in temporary git worktrees and compiles the models with each. Then, round after round, a fresh
process of A and one of B run one after the other on the same model, in an order that changes every round; what counts
of a process is its fastest frame. Neighbours on a machine only ever make a process slower, and a machine that drifts
does so on both sides of a round:

- the change is that of the lower quartile of the rounds, from A to B;
- its noise is the standard deviation that the change has when whole rounds are drawn at random from those measured
  (bootstrap); p is how often chance gives as large a change (A and B of each round exchanged at random);
- a change is a verdict where it exceeds the noise floor, which is the larger of --floor and three times the noise, and
  where p is below 1 %.

Exit status 1 where anything is slower, or where something cannot be built or run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent

RESAMPLES = 4000
SIGNIFICANT = 0.01
FEWEST_ROUNDS = 10  # fewer cannot tell anything on a machine that does something else, too

# One process: loads a compiled model, runs it for a while, prints its fastest frame in ms, saves its outputs.
WORKER = """
import sys, time
import numpy as np
import edgecnn
model, threads, seconds, outputs = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
p = edgecnn.load(model, threads=threads)
rng = np.random.default_rng(1)
feed = {s.name: rng.random(s.shape, np.float32).astype(s.dtype) for s in p.inputs}
for _ in range(3):
    result = p.run(feed)
np.save(outputs, np.concatenate([np.ravel(result[s.name]).astype(np.float64) for s in p.outputs]))
best, end = 1e9, time.perf_counter() + seconds
while time.perf_counter() < end:
    start = time.perf_counter()
    p.run(feed)
    best = min(best, time.perf_counter() - start)
print(1e3 * best)
"""


class Failure(Exception):
    """Something cannot be built or run; the text says what."""


@dataclass(frozen=True)
class Verdict:
    """How B compares with A. All but ``p`` and ``verdict`` are fractions: 0.05 is 5 % more time."""

    change: float
    noise: float  # standard deviation of the change
    floor: float  # what a change must exceed
    p: float
    verdict: str  # "faster", "slower" or "no difference"


@dataclass(frozen=True)
class Comparison:
    """One model with one number of threads; times in ms, of each round."""

    model: str
    threads: int
    a_ms: list[float]
    b_ms: list[float]
    output_difference: float  # of B's outputs from A's, relative to the largest value
    verdict: Verdict


def compare(a: Sequence[float], b: Sequence[float], floor: float) -> Verdict:
    """Judges times that were measured in pairs."""
    pairs = np.log(np.array([a, b], np.float64))
    rng = np.random.default_rng(0)
    rounds = pairs.shape[1]
    gap = float(low_gap(pairs))
    noise = float(np.std(low_gap(pairs[:, rng.integers(0, rounds, (RESAMPLES, rounds))])))
    swapped = np.where(rng.random((RESAMPLES, rounds)) < 0.5, pairs[:, np.newaxis], pairs[::-1, np.newaxis])
    p = (1 + int(np.sum(np.abs(low_gap(swapped)) >= abs(gap)))) / (1 + RESAMPLES)
    change, limit = float(np.expm1(gap)), max(floor, 3 * noise)
    found = abs(change) > limit and p < SIGNIFICANT
    return Verdict(change, noise, limit, p, ("slower" if change > 0 else "faster") if found else "no difference")


def low_gap(pairs: np.ndarray) -> np.ndarray:
    """How far apart the lower quartiles of B and A are, along the last axis; the first axis has A and B."""
    low = np.quantile(pairs, 0.25, axis=-1)
    return np.asarray(low[1] - low[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compares the speed of two commits.")
    parser.add_argument("commits", nargs=2, metavar="COMMIT")
    parser.add_argument("--models", nargs="+", default=["digits"], metavar="MODEL", help="files, or names of the zoo")
    parser.add_argument("--weights", help="of Darknet models: a file, or random")
    parser.add_argument("--threads", type=counts, default=[1], help="numbers of threads, for example 1,2")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=0.2, help="that a process runs frames in a round")
    parser.add_argument("--floor", type=float, default=1.0, help="smallest change in per cent that is one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds: at least {FEWEST_ROUNDS}")
    if options.seconds <= 0 or options.floor < 0:
        parser.error("--seconds must be positive, --floor not negative")
    try:
        names = [resolve(commit) for commit in options.commits]
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            trees = [stack.enter_context(build(name, folder / side)) for name, side in zip(names, "ab")]
            found = run_all(trees, options, folder)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    print(table(names, found))
    if options.json:
        options.json.write_text(
            json.dumps({"a": names[0], "b": names[1], "rows": [asdict(c) for c in found]}, indent=1)
        )
    return int(any(c.verdict.verdict == "slower" for c in found))


def counts(text: str) -> list[int]:
    """A list of numbers of threads."""
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError("at least one thread")
    return values


def call(command: Sequence[object], tree: Path | None = None) -> str:
    """Runs a program, with the package of *tree*; returns what it printed. Failure where it ends with an error."""
    environment = dict(os.environ)
    tools = str(Path(sys.executable).parent)  # cmake and ninja, where a virtual environment holds them
    environment["PATH"] = os.pathsep.join([tools, environment.get("PATH", "")])
    if tree is not None:
        environment["PYTHONPATH"] = str(tree)
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tree or REPOSITORY)
    except FileNotFoundError:
        raise Failure(f"{words[0]} is not installed") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-8:]
        raise Failure(f"{' '.join(words[:4])}: " + "\n  ".join(last))
    return done.stdout


def resolve(commit: str) -> str:
    """The hash of a commit."""
    call(["git", "--version"])
    try:
        return call(["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]).strip()
    except Failure:
        raise Failure(f"{commit!r} is no commit of {REPOSITORY}") from None


@contextlib.contextmanager
def build(commit: str, tree: Path) -> Iterator[Path]:
    """A worktree of a commit with its C++ module built; gone at the end."""
    call(["git", "worktree", "add", "--detach", "--force", tree, commit])
    try:
        print(f"building {commit[:10]}", file=sys.stderr, flush=True)
        call([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], tree)
        yield tree
    finally:
        call(["git", "worktree", "remove", "--force", tree])


def run_all(trees: Sequence[Path], options: argparse.Namespace, folder: Path) -> list[Comparison]:
    """All models with all numbers of threads."""
    found = []
    for model in options.models:
        source = str(Path(model).resolve()) if Path(model).exists() else model
        compiled = []
        for name, tree in zip("ab", trees):
            compiled.append(folder / f"{name}.ecnn")
            extra = ["--weights", options.weights] if options.weights else []
            call([sys.executable, "-m", "edgecnn.cli", "convert", source, "-o", compiled[-1], *extra], tree)
        for threads in options.threads:
            print(f"timing {Path(model).name}, {threads} threads", file=sys.stderr, flush=True)
            times: list[list[float]] = [[], []]
            outputs = [folder / f"{name}.npy" for name in "ab"]
            for turn in range(options.rounds):
                for side in (0, 1) if turn % 2 == 0 else (1, 0):
                    command = [sys.executable, "-c", WORKER, compiled[side], threads, options.seconds, outputs[side]]
                    times[side].append(float(call(command, trees[side])))
            gap = difference(np.load(outputs[0]), np.load(outputs[1]))
            verdict = compare(times[0], times[1], options.floor / 100)
            found.append(Comparison(Path(model).name, threads, times[0], times[1], gap, verdict))
    return found


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest value of *a*; infinite where the sizes differ."""
    if a.shape != b.shape:
        return float("inf")
    return float(np.max(np.abs(a - b), initial=0.0)) / max(float(np.max(np.abs(a), initial=0.0)), 1e-30)


def table(names: Sequence[str], found: Sequence[Comparison]) -> str:
    """What was found, a line each."""
    lines = [f"A {names[0]}", f"B {names[1]}", ""]
    lines.append(f"{'model':<28} {'threads':>7} {'A ms':>9} {'B ms':>9} {'change':>8} {'floor':>7} {'noise':>7} "
                 f"{'p':>7}  {'outputs':>7}  verdict")  # fmt: skip
    for c in found:
        v = c.verdict
        lines.append(
            f"{c.model[-28:]:<28} {c.threads:>7} {min(c.a_ms):>9.3f} {min(c.b_ms):>9.3f} {100 * v.change:>+7.2f}% "
            f"{100 * v.floor:>6.2f}% {100 * v.noise:>6.2f}% {v.p:>7.4f}  {c.output_difference:>7.0e}  {v.verdict}"
        )
    lines.append("ms: fastest of all rounds; change: of the lower quartile of the rounds; outputs: largest difference")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
