#!/usr/bin/env python3
"""An event of each kind, written by TensorBoard itself: events.tfevents beside this file.

Made with tensorboard 2.21.0; run it again with `python make_events.py` (TensorFlow is not needed).
"""
import pathlib

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

TIME = 1_700_000_000.25
# Of the four buckets from -1 to 1.
VALUES = [-1, -0.25, -0.25, 0.75, 0.75, 0.75, 1]

events = [
    Event(wall_time=TIME, file_version="brain.Event:2"),
    # As torch.utils.tensorboard writes scalars.
    Event(wall_time=TIME + 1, step=3, summary=Summary(value=[Summary.Value(tag="loss/train", simple_value=0.1)])),
    Event(wall_time=TIME + 2, step=-1, summary=histogram_pb("layer 1/weight", VALUES, buckets=4)),
    Event(wall_time=TIME + 3, summary=text_pb("settings", "**√2**")),
    Event(wall_time=TIME + 4, summary=hparams_pb({"learning_rate": 0.03}, "", TIME + 4)),
    Event(wall_time=TIME + 5, step=2, session_log=SessionLog(status=SessionLog.START)),
]
with open(pathlib.Path(__file__).with_name("events.tfevents"), "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    writer.flush()
