#!/usr/bin/env python3
"""Reads a folder of events with TensorBoard's own reader, and compares them with the `expected.json` in it.

The example `tensorboard` writes such a folder. `python read_events.py FOLDER` (Python with tensorboard; TensorFlow is not
needed) prints what was compared, and exits with 1 if anything differs. Made for tensorboard 2.21.
"""
import json
import pathlib
import sys

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

folder = pathlib.Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
differences = []


def compare(what, got, wanted):
    """By their texts, in which NaN is equal to itself, and -0.0 is not 0.0."""
    if repr(got) == repr(wanted):
        print(f"equal: {what}: {len(got)}" if isinstance(got, (dict, list)) else f"equal: {what}")
    else:
        differences.append(what)
        print(f"DIFFERENT: {what}\n  expected {wanted!r}\n  got      {got!r}")


def compare_tensors(plugin, wanted, value_of):
    tags = sorted(tag for tag, metadata in events.summary_metadata.items() if metadata.plugin_data.plugin_name == plugin)
    compare(f"tags of {plugin}", tags, sorted(wanted))
    for tag in sorted(set(tags) & set(wanted)):
        got = [[e.step, e.wall_time, value_of(tensor_util.make_ndarray(e.tensor_proto))] for e in events.Tensors(tag)]
        compare(f"{plugin} {tag}", got, wanted[tag])


compare("version of the file", events.file_version, 2.0)

compare("tags of scalars", sorted(events.Tags()["scalars"]), sorted(expected["scalars"]))
for tag in sorted(set(events.Tags()["scalars"]) & set(expected["scalars"])):
    got = [[e.step, e.wall_time, e.value] for e in events.Scalars(tag)]
    # TensorBoard's scalars are of single precision.
    wanted = [[step, time, float(numpy.float32(value))] for step, time, value in expected["scalars"][tag]]
    compare(f"scalars {tag}", got, wanted)

compare_tensors("histograms", expected["histograms"], lambda buckets: buckets.tolist())
compare_tensors("text", expected["texts"], lambda text: text.item().decode())

start = plugin_data_pb2.HParamsPluginData()
if metadata := events.summary_metadata.get("_hparams_/session_start_info"):
    start.ParseFromString(metadata.plugin_data.content)
settings = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.session_start_info.hparams.items()}
compare("settings", dict(sorted(settings.items())), expected["settings"])

sys.exit(1 if differences else 0)
