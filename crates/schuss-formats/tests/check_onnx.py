"""Checks ONNX files with onnx.checker, and that onnxruntime gives what the models predict.

    cargo run -p schuss-formats --example write_models -- FOLDER
    pip install onnx onnxruntime safetensors
    python check_onnx.py FOLDER [TOLERANCE]

Differences are relative to the largest magnitude of all; of numbers to predict, in their row or
column, as `schuss_formats::difference` has it.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open


def difference(expected, got, is_regression):
    size = np.abs(expected)
    size = np.maximum(size.max(axis=0), size.max(axis=1, keepdims=True)) if is_regression else size.max()
    return float((np.abs(expected - got) / np.maximum(size, np.finfo(float).tiny)).max())


def check(path, tolerance):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    with safe_open(path.with_suffix(".safetensors"), "np") as values:
        rows, expected = values.get_tensor("rows"), values.get_tensor("expected")
        metadata = values.metadata()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [inputs] = session.get_inputs()
    kind = {"tensor(float)": np.float32, "tensor(double)": np.float64}[inputs.type]
    got, *label = session.run(None, {inputs.name: rows.astype(kind)})
    # A row alone has a batch of its own.
    session.run(None, {inputs.name: rows[:1].astype(kind)})
    off = difference(expected, got, metadata["regression"] == "true")
    assert off <= tolerance, f"{path.name} ({metadata['name']}): {off:.2e} off, relative"
    if label:
        np.testing.assert_array_equal(label[0], got.argmax(axis=1))
        names = json.loads({entry.key: entry.value for entry in model.metadata_props}["classes"])
        assert len(names) == expected.shape[1]
    return off, metadata["name"]


def main(folder, tolerance=1e-6):
    paths = sorted(pathlib.Path(folder).glob("*.onnx"))
    assert paths, f"{folder}: no ONNX files"
    off, name = max(check(path, float(tolerance)) for path in paths)
    print(f"{len(paths)} models, onnxruntime {onnxruntime.__version__}: at most {off:.1e} off, relative ({name})")


if __name__ == "__main__":
    main(*sys.argv[1:])
