"""Compares the scalars that TensorBoard reads from a run's event files with the run's metrics.

    pip install tensorboard
    schuss train digits --epochs 5 --out RUN --tensorboard BOARD && python compare_events.py RUN BOARD
"""
import json
import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(run, board):
    events = EventAccumulator(board, size_guidance={"scalars": 0, "histograms": 0})
    events.Reload()
    lines = [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    names = [name for name in epochs[0] if name.split("_")[0] in ("loss", "acc", "rmse")]
    compared = 0
    for name in names:
        curve, _, part = name.partition("_")
        points = events.Scalars(f"{curve}/{part or 'train'}")
        scalars = {scalar.step: scalar.value for scalar in points}
        expected = {line["epoch"]: line[name] for line in epochs}
        # TensorBoard keeps single precision.
        same = len(points) == len(expected) and scalars.keys() == expected.keys() and all(
            math.isclose(scalars[epoch], expected[epoch], rel_tol=1e-6, abs_tol=1e-30) for epoch in expected
        )
        if not same:
            sys.exit(f"{name}: expected {expected}, got {scalars}")
        compared += len(expected)
    histograms = events.Tags()["histograms"] + [tag for tag in events.Tags()["tensors"] if "layers" in tag]
    if not any(tag.startswith("weight/") for tag in histograms) or not any(tag.startswith("gradient/") for tag in histograms):
        sys.exit(f"histograms of weights and gradients: expected some, got {histograms}")
    print(f"{compared} scalars as in the metrics, {len(histograms)} histograms")


if __name__ == "__main__":
    main(*sys.argv[1:])
