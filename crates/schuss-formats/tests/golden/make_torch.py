"""Networks by PyTorch's exporters, and what they give: `pip install torch onnx onnxscript safetensors; python make_torch.py`,
or `python make_torch.py NAME...` for some of them.

Beside each `torch_*.onnx` there is a `torch_*.safetensors` with rows `x` and what PyTorch gives for them, `y`.
`torch_sequential.safetensors` holds the weights of an `nn.Sequential`, `torch_sequential_values.safetensors` its x and y.
"""

import pathlib
import sys

import onnx
import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent


class Pictures(nn.Module):
    """Pixels from 0 to 255, flattened within."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 5))

    def forward(self, x):
        return torch.softmax(self.layers(torch.flatten(x / 255.0, 1)), dim=1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.last(h + torch.relu(self.second(h)))


class Blocks(nn.Module):
    """Normalised with another ε before a layer whose output is added to what was there before."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.norm, self.end = nn.LayerNorm(8, eps=1e-12), nn.LayerNorm(8, eps=1e-3)

    def forward(self, x):
        h = self.first(x)
        return self.last(nn.functional.silu(self.end(h + nn.functional.gelu(self.second(self.norm(h))))))


class Written(nn.Module):
    """Functions as they are written out in formulas."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third, self.last = nn.Linear(5, 8), nn.Linear(8, 7), nn.Linear(7, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        x = self.second(0.5 * x * (1.0 + torch.erf(x / 2.0**0.5)))
        x = self.third(torch.sigmoid(x) * x)
        return self.last(torch.tanh(nn.functional.softplus(x)) * x)


def networks():
    yield "mlp", nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 3)), (5,)
    yield "norms", nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 6), nn.LayerNorm(6), nn.ReLU(),
        nn.BatchNorm1d(6), nn.Linear(6, 4), nn.Softmax(dim=1),
    ), (5,)
    yield "pictures", Pictures(), (1, 6, 8)
    yield "residual", Residual(), (6,)
    yield "labels", nn.Sequential(nn.Linear(4, 6, bias=False), nn.LeakyReLU(), nn.Linear(6, 3), nn.Sigmoid()), (4,)
    yield "functions", nn.Sequential(
        nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 8), nn.SiLU(), nn.Linear(8, 7), nn.Mish(), nn.BatchNorm1d(7), nn.SiLU(),
        nn.Linear(7, 6), nn.Softplus(), nn.Linear(6, 3),
    ), (5,)
    yield "blocks", Blocks(), (5,)
    yield "written", Written(), (5,)
    yield "logarithms", nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3), nn.LogSoftmax(dim=-1)), (4,)


def main(names):
    torch.manual_seed(0)
    for name, network, shape in networks():
        if names and name not in names:
            continue
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.3, 1.5)
        network.eval()
        x = torch.randint(0, 256, (7, *shape)).float() if name == "pictures" else torch.randn(7, *shape)
        with torch.no_grad():
            y = network(x)
        save_file({"x": x.flatten(1).contiguous(), "y": y.contiguous()}, HERE / f"torch_{name}.safetensors")
        batch = torch.export.Dim("batch", min=1)
        path = HERE / f"torch_{name}_dynamo.onnx"
        torch.onnx.export(network, (x,), path, dynamo=True, external_data=False, dynamic_shapes=({0: batch},))
        # Where in whose folders each line of the model stood.
        proto = onnx.load(path)
        for part in [proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info]:
            del part.metadata_props[:]
        onnx.save(proto, path)
        # Its operators lack Gelu and Mish, which are taken apart.
        torch.onnx.export(
            network, (x,), HERE / f"torch_{name}.onnx", dynamo=False, opset_version=17, input_names=["x"],
            dynamic_axes={"x": {0: "batch"}},
        )
    if names and "sequential" not in names:
        return
    sequence = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 7), nn.Linear(7, 4), nn.Tanh(), nn.Linear(4, 3))
    x = torch.randn(7, 5)
    with torch.no_grad():
        y = torch.softmax(sequence(x), dim=1)
    save_file(sequence.state_dict(), HERE / "torch_sequential.safetensors")
    save_file({"x": x, "y": y}, HERE / "torch_sequential_values.safetensors")


if __name__ == "__main__":
    main(sys.argv[1:])
