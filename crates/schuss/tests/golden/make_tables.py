#!/usr/bin/env python3
"""Networks for tables (RealMLP) by PyTorch in float64: tables.safetensors beside this file.

Made with the torch and the safetensors of its metadata; run it again with `python make_tables.py`. For each of the
cases `classes` (SELU, cross-entropy with label smoothing 0.1) and `numbers` (Mish, half the squared error): tensors
`CASE.x` (rows, columns), `CASE.targets`; `CASE.initial.NAME`, `CASE.gradient.NAME` and `CASE.trained.NAME`, the last after
20 steps of Adam with weight decay, for every tensor of schuss by its name; `CASE.output` and `CASE.loss` before them, and
`CASE.learning_rates`.

The weights here are V of x·Vᵀ/√inputs + b, decayed themselves; what is written down is W = V/√inputs, and its gradient.
"""
import math
import pathlib

import safetensors
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
ROWS, NUMBERS, PLAIN = 12, 3, 2
CATEGORIES, WIDTH = [3, 5], 8
FREQUENCIES, OUTPUTS = 16, 4
HIDDEN = [6, 5]
DECAY, STEPS = 0.1, 20


def make(case, outputs, function, lr):
    generator = torch.Generator().manual_seed(len(case))
    normal = lambda *shape: torch.randn(*shape, generator=generator)
    near_one = lambda n: 1 + 0.2 * normal(n)
    # Beyond the last code, and below the first: unknown.
    codes = [torch.randint(-1, count + 1, (ROWS, 1), generator=generator) for count in CATEGORIES]
    plain = torch.randint(2, (ROWS, PLAIN), generator=generator)
    x = torch.cat([2 * normal(ROWS, NUMBERS), plain, *codes], dim=1)
    targets = normal(ROWS, 1) if case == "numbers" else torch.randint(outputs, (ROWS,), generator=generator)

    sizes = [NUMBERS * OUTPUTS + PLAIN + WIDTH * len(CATEGORIES), *HIDDEN, outputs]
    parameters, factors, gains = {}, {}, {}

    def add(name, value, factor=1.0, gain=1.0):
        parameters[name], factors[name], gains[name] = value.requires_grad_(), factor, gain

    add("embeds.0.frequencies", normal(NUMBERS, FREQUENCIES) * 0.3, 0.1)
    add("embeds.0.phases", math.pi * normal(NUMBERS, FREQUENCIES), 0.1)
    add("embeds.0.weights", 0.25 * normal(NUMBERS, OUTPUTS - 1, FREQUENCIES), 0.1)
    add("embeds.0.biases", 0.25 * normal(NUMBERS, OUTPUTS - 1), 0.1)
    for i, count in enumerate(CATEGORIES):
        add(f"embeds.0.tables.{i}", normal(count, WIDTH))
    add("scales.0.weight", near_one(sizes[0]), 6.0)
    for i, (inputs, units) in enumerate(zip(sizes, sizes[1:])):
        add(f"layers.{i}.weight", normal(units, inputs), gain=1 / math.sqrt(inputs))
        add(f"layers.{i}.bias", normal(units), 0.1)
        if i < len(HIDDEN):
            add(f"activations.{i}.weight", near_one(units), 0.1)

    def forward():
        p = parameters
        numbers = x[:, :NUMBERS, None]
        cos = torch.cos(2 * math.pi * p["embeds.0.frequencies"] * numbers + p["embeds.0.phases"])
        periodic = torch.einsum("bnk,nok->bno", cos, p["embeds.0.weights"]) + p["embeds.0.biases"]
        parts = [torch.cat([numbers, periodic], dim=2).flatten(1), x[:, NUMBERS : NUMBERS + PLAIN]]
        for i, count in enumerate(CATEGORIES):
            code = x[:, NUMBERS + PLAIN + i].long()
            is_known = (code >= 0) & (code < count)
            parts.append(F.embedding(code.clamp(0, count - 1), p[f"embeds.0.tables.{i}"]) * is_known[:, None])
        a = torch.cat(parts, dim=1) * p["scales.0.weight"]
        for i, inputs in enumerate(sizes[:-1]):
            a = a @ p[f"layers.{i}.weight"].T / math.sqrt(inputs) + p[f"layers.{i}.bias"]
            if i < len(HIDDEN):
                a = a + p[f"activations.{i}.weight"] * (function(a) - a)
        return a

    def loss_of(output):
        if case == "numbers":
            return 0.5 * F.mse_loss(output, targets)
        return F.cross_entropy(output, targets, label_smoothing=0.1)

    tensors = {f"{case}.x": x, f"{case}.targets": targets}

    def put(what, values, power):
        for name, value in values.items():
            tensors[f"{case}.{what}.{name}"] = value * gains[name] ** power

    put("initial", parameters, 1)
    output = forward()
    loss = loss_of(output)
    loss.backward()
    tensors[f"{case}.output"] = output if case == "numbers" else torch.softmax(output, dim=1)
    tensors[f"{case}.loss"] = loss
    put("gradient", {name: p.grad for name, p in parameters.items()}, -1)

    groups = [dict(params=[p], factor=factors[name], name=name) for name, p in parameters.items()]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=DECAY)
    rates = [lr * (1 + 0.3 * math.cos(t)) for t in range(STEPS)]
    for rate in rates:
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
            # pytabkit has the factor twice: in the learning rate, and once more.
            group["weight_decay"] = 0.0 if is_exempt(group["name"]) else DECAY * group["factor"]
        optimizer.zero_grad()
        loss_of(forward()).backward()
        optimizer.step()
    put("trained", parameters, 1)
    tensors[f"{case}.learning_rates"] = torch.tensor(rates)
    return {name: value.detach().to(torch.float64).contiguous().clone() for name, value in tensors.items()}


def is_exempt(name):
    """Of weight decay."""
    return name.endswith(".bias")


if __name__ == "__main__":
    tensors = make("classes", 3, F.selu, 0.04) | make("numbers", 1, F.mish, 0.2)
    made_with = f"torch {torch.__version__}, safetensors {safetensors.__version__}"
    save_file(tensors, pathlib.Path(__file__).parent / "tables.safetensors", dict(made_with=made_with))
