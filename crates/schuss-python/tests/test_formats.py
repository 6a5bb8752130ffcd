"""Networks in other formats, and networks of others."""

import pathlib
import shutil
import subprocess
import zipfile

import numpy as np
import pytest

import schuss
from schuss import Network

GOLDEN = pathlib.Path(__file__).parent / "golden"
FORMATS = GOLDEN.parents[2] / "schuss-formats" / "tests" / "golden"
KERAS = [(name, end) for name in ("mlp", "pictures", "functional", "binary") for end in ("keras", "h5")]


def difference(expected, got):
    return (np.abs(expected - got) / np.abs(expected).max(axis=1, keepdims=True)).max()


@pytest.mark.parametrize("name, end", KERAS)
def test_networks_of_keras(name, end):
    network = schuss.import_model(GOLDEN / f"keras_{name}.{end}")
    with np.load(GOLDEN / f"keras_{name}.npz") as values:
        assert difference(values["y"], network.predict(values["x"])) < 2e-6
    tasks = {"functional": "regression", "binary": "multi-label"}
    assert network.task == tasks.get(name, "classification")


def test_what_keras_does_not_say_can_be_said():
    path = GOLDEN / "keras_functional.keras"
    assert schuss.import_model(path, final="softmax").task == "classification"


@pytest.mark.parametrize("end", ["keras", "h5"])
def test_damaged_files_of_keras_are_errors(tmp_path, end):
    whole = (GOLDEN / f"keras_mlp.{end}").read_bytes()
    random, path, refused = np.random.default_rng(0), tmp_path / f"damaged.{end}", 0
    for _ in range(300):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 3):
            damaged[at] = random.integers(0, 256)
        if random.integers(0, 4) == 0:
            damaged = damaged[: random.integers(0, len(whole))]
        path.write_bytes(damaged)
        try:
            schuss.import_model(path)
        except ValueError as error:
            refused += 1
            assert len(str(error)) < 2000
    assert refused > 20


def test_other_layers_of_keras_are_named(tmp_path):
    with zipfile.ZipFile(GOLDEN / "keras_mlp.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "other.keras"

    def check(old, new, expected):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content.replace(old, new) if name == "config.json" else content)
        with pytest.raises(ValueError, match=expected):
            schuss.import_model(path)

    check(b'"class_name": "Dense"', b'"class_name": "LSTM"', "LSTM is not understood")
    check(b'"activation": "tanh"', b'"activation": "exponential"', "exponential")
    check(b'"Sequential"', b'"Subclassed"', "Subclassed")
    check(b"[null, 5]", b"[null, 2, 5]", "Flatten")


def test_networks_of_others(tmp_path):
    network = schuss.import_model(FORMATS / "skl_names.onnx")
    assert network.class_names == ["high", "low", "middle"]
    with pytest.warns(UserWarning, match="--activation"):
        schuss.import_model(FORMATS / "torch_sequential.safetensors")
    with pytest.raises(FileNotFoundError):
        schuss.import_model(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"PK")
    with pytest.raises(ValueError, match="bad.onnx"):
        schuss.import_model(tmp_path / "bad.onnx")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exports(tmp_path, dtype):
    network = Network([4, 8, 3], activation="tanh", dtype=dtype).divide(255)
    x = np.random.default_rng(0).integers(0, 256, (9, 4)).astype(np.uint8)
    network.export(tmp_path / "network.onnx")
    again = schuss.import_model(tmp_path / "network.onnx")
    assert difference(network.predict(x), again.predict(x)) < 2e-6
    network.export(tmp_path / "network.safetensors")
    again = schuss.import_model(tmp_path / "network.safetensors", activation="tanh", final="softmax").divide(255)
    assert difference(network.predict(x), again.predict(x)) < 2e-6 and again.dtype == dtype
    network.export(tmp_path / "network.npz")
    with np.load(tmp_path / "network.npz") as arrays:
        tensors = network.tensors()
        assert set(arrays.files) == set(tensors)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(arrays[name], tensor)
    with pytest.raises(ValueError, match="onnx"):
        network.export(tmp_path / "network.pickle")
    with pytest.raises(ValueError, match="'c' or 'rust'"):
        network.export(tmp_path / "network.h", to="C")
    with pytest.raises(ValueError, match="dense layers alone"):
        Network([4, 8, 8, 3], norm="layer").export(tmp_path / "network.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.npz", "network.onnx", "network.safetensors"]


C = """#include <stdio.h>
#include "network.h"
int main(void)
{
    NUMBER input[NETWORK_INPUTS];
    float output[NETWORK_OUTPUTS];
    while (fread(input, sizeof input, 1, stdin) == 1) {
        network_predict(input, output);
        fwrite(output, sizeof output, 1, stdout);
    }
    return 0;
}
"""
RUST = """mod network;
use std::io::{Read, Write};
fn main() {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    let numbers: Vec<f32> = bytes.chunks(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect();
    for row in numbers.chunks(network::INPUTS) {
        for x in network::predict(row.try_into().unwrap()) {
            std::io::stdout().write_all(&x.to_le_bytes()).unwrap();
        }
    }
}
"""


def compiled(folder, compiler, source, *arguments):
    """What a program gives for the bytes of rows, as float32."""
    if not shutil.which(compiler):
        pytest.skip(f"this machine lacks {compiler}")
    subprocess.run([compiler, *arguments, source, "-o", "program", *(["-lm"] if compiler == "cc" else [])], cwd=folder, check=True)
    return lambda rows: np.frombuffer(
        subprocess.run([folder / "program"], input=rows.tobytes(), stdout=subprocess.PIPE, check=True).stdout, np.float32
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_source_code_predicts_the_same(tmp_path, dtype):
    network = Network([4, 16, 8, 3], activation="gelu", norm="layer", dtype=dtype).divide(255)
    rows = np.random.default_rng(0).integers(0, 256, (50, 4)).astype(np.float32)
    expected = network.predict(rows)
    sizes = network.export(tmp_path / "network.h")
    assert sizes["file"] == (tmp_path / "network.h").stat().st_size
    assert sizes["constants"] >= 4 * network.parameters.size and sizes["stack"] > 0
    (tmp_path / "main.c").write_text(C.replace("NUMBER", "float"))
    got = compiled(tmp_path, "cc", "main.c", "-O2")(rows).reshape(expected.shape)
    assert difference(expected, got) < 1e-6
    assert network.export(tmp_path / "network.rs").keys() == sizes.keys()
    (tmp_path / "main.rs").write_text(RUST)
    got = compiled(tmp_path, "rustc", "main.rs", "--edition", "2021")(rows).reshape(expected.shape)
    assert difference(expected, got) < 1e-6


def test_sizes_of_other_formats(tmp_path):
    for end in ("onnx", "npz", "safetensors"):
        path = tmp_path / f"network.{end}"
        assert Network([4, 8, 3]).export(path) == {"file": path.stat().st_size}
