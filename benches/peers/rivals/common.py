"""What all rivals share: the command line, the data, and the clock.

Import this before the rival's library: most libraries read the number of threads once, when they load.
A rival file is called as `python FILE ROW --threads N` and prints one line of JSON.
"""

import argparse
import json
import os
import statistics
import time

_parser = argparse.ArgumentParser()
_parser.add_argument("row")
_parser.add_argument("--threads", type=int, default=1)
_arguments = _parser.parse_args()

THREADS = _arguments.threads
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NPROC"):
    os.environ[_variable] = str(THREADS)

import numpy  # noqa: E402: after the number of threads

from rows import ROWS  # noqa: E402

ROW = ROWS[_arguments.row]
LEARNING_RATE = 0.01


def data():
    """The row's batches as float32 inputs and their targets: pixels of 0 to 1 and labels, or numbers for MSE."""
    generator = numpy.random.default_rng(0)

    def batch():
        shape = (ROW.batch, ROW.sizes[0])
        if ROW.loss == "mse":
            numbers = generator.standard_normal((ROW.batch, ROW.sizes[0] + ROW.sizes[-1]), dtype=numpy.float32)
            return numbers[:, : ROW.sizes[0]].copy(), numbers[:, ROW.sizes[0] :].copy()
        pixels = generator.integers(1, 256, shape) * (generator.random(shape) < ROW.density)
        return (pixels / 255).astype(numpy.float32), generator.integers(0, ROW.sizes[-1], ROW.batch)

    return [batch() for _ in range(ROW.batches)]


def seconds_per_step(run, chunk, multiple):
    """The median of `run(steps)` over its steps. A chunk of steps takes `chunk` seconds or more, so that the clock,
    and whatever a call costs beside its steps, weigh little; a call of prediction is timed alone, as its user waits."""

    def seconds(steps):
        start = time.perf_counter()
        run(steps)
        return time.perf_counter() - start

    steps = multiple if ROW.work == "train" else 1
    for _ in range(3):  # compiles, allocates, wakes the threads
        seconds(steps)
    while ROW.work == "train" and seconds(steps) < chunk:
        steps *= 2
    samples = []
    end = time.perf_counter() + max(1.5, 3 * chunk)
    while len(samples) < 5 or time.perf_counter() < end:
        samples.append(seconds(steps) / steps)
    return statistics.median(samples)


def report(seconds, versions):
    """Prints the line that peers.py reads."""
    print(json.dumps({"row": _arguments.row, "seconds": seconds, "threads": THREADS, "versions": versions}))


def unsupported(reason):
    """Ends a rival that does not offer the row's work; says why in a few words."""
    print(json.dumps({"row": _arguments.row, "unsupported": reason}))
    raise SystemExit


def main(prepare, versions, chunk=0.05, multiple=1):
    """Times what `prepare()` returns: a function that runs a number of steps and comes back when they are done.
    It is asked for multiples of `multiple` steps of training, and for single calls of prediction."""
    report(seconds_per_step(prepare(), chunk, multiple), versions)
