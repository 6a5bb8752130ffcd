#!/usr/bin/env python3
"""Losses, activations and norms with their gradients, by PyTorch in float64: losses.safetensors beside this file.

Made with torch 2.15.0 and safetensors; run it again with `python make_losses.py`. Every case is tensors `CASE.NAME`.
"""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
ROWS, CLASSES = 7, 4
tensors = {}


def put(case, **values):
    for name, value in values.items():
        tensors[f"{case}.{name}"] = value.detach().to(torch.float64).contiguous().clone()


def loss_case(case, outputs, targets, loss, **extra):
    """`loss` of `outputs`, a mean over rows as schuss has it, and its gradient."""
    outputs = outputs.clone().requires_grad_()
    value = loss(outputs)
    value.backward()
    put(case, outputs=outputs, targets=targets, loss=value, gradient=outputs.grad, **extra)


z = 3 * torch.randn(ROWS, CLASSES)
labels = torch.randint(CLASSES, (ROWS,))
values = torch.randn(ROWS, CLASSES)
shares = torch.softmax(torch.randn(ROWS, CLASSES), dim=1)
bits = torch.randint(2, (ROWS, CLASSES)).double()
counts = torch.poisson(torch.full((ROWS, CLASSES), 3.0))
class_weights = torch.tensor([0.5, 2.0, 1.0, 3.0])

loss_case("cross-entropy", z, labels, lambda z: F.cross_entropy(z, labels))
loss_case("cross-entropy-smoothed", z, labels, lambda z: F.cross_entropy(z, labels, label_smoothing=0.1))
loss_case("cross-entropy-soft", z, shares, lambda z: F.cross_entropy(z, shares))
# PyTorch divides by the sum of the rows' weights, schuss by their number, once weights have mean 1 over the data set: here
# the batch is the data set.
loss_case("cross-entropy-weighted", z, labels, lambda z: F.cross_entropy(z, labels, weight=class_weights),
          class_weights=class_weights)
# Means over rows and outputs there, sums over outputs here.
loss_case("mse", z, values, lambda z: F.mse_loss(z, values) * CLASSES / 2)
loss_case("mae", z, values, lambda z: F.l1_loss(z, values) * CLASSES)
loss_case("huber:0.7", z, values, lambda z: F.huber_loss(z, values, delta=0.7) * CLASSES)
loss_case("poisson", z / 3, counts, lambda z: F.poisson_nll_loss(z, counts, log_input=True, full=False) * CLASSES)
loss_case("binary-cross-entropy", z, bits, lambda z: F.binary_cross_entropy_with_logits(z, bits) * CLASSES)

# PyTorch has no pinball loss; this is its definition, differentiated by PyTorch.
levels = torch.tensor([0.1, 0.5, 0.9])
quantile_outputs = torch.randn(ROWS, 2 * 3)


def pinball(outputs):
    error = values[:, :2].unsqueeze(2) - outputs.view(ROWS, 2, 3)
    return torch.maximum(levels * error, (levels - 1) * error).sum() / ROWS


loss_case("quantile:0.1,0.5,0.9", quantile_outputs, values[:, :2], pinball)

for name, f in {
    "relu": F.relu, "leaky-relu": F.leaky_relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu,
    "selu": F.selu, "swish": F.silu, "mish": F.mish,
    # From 20 on, F.softplus is the identity unless told otherwise.
    "softplus": lambda x: F.softplus(x, threshold=100),
}.items():
    x = torch.cat([torch.linspace(-30, 30, 25), torch.randn(7)]).reshape(4, 8).requires_grad_()
    d = torch.randn(4, 8)
    a = f(x)
    a.backward(d)
    put(f"activation-{name}", x=x, a=a, d=d, dx=x.grad)

for kind, norm in [("layer", torch.nn.LayerNorm(5)), ("batch", torch.nn.BatchNorm1d(5))]:
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    for pass_ in ["training", "inference"]:
        norm.train(pass_ == "training")
        norm.zero_grad()
        x = (2 * torch.randn(6, 5) + 1).requires_grad_()
        d = torch.randn(6, 5)
        before = {} if kind == "layer" else {"mean": norm.running_mean.clone(), "var": norm.running_var.clone()}
        a = norm(x)
        a.backward(d)
        after = {} if kind == "layer" else {"mean_after": norm.running_mean, "var_after": norm.running_var}
        put(f"norm-{kind}-{pass_}", x=x, a=a, d=d, dx=x.grad, weight=norm.weight, bias=norm.bias,
            d_weight=norm.weight.grad, d_bias=norm.bias.grad, **before, **after)

save_file(tensors, pathlib.Path(__file__).with_name("losses.safetensors"))
