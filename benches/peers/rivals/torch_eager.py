"""PyTorch, eager: fused optimisers, autocast for bf16, inference_mode for prediction."""

from contextlib import nullcontext

from common import LEARNING_RATE, ROW, THREADS, data, main
import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
LOSSES = {"cross-entropy": nn.functional.cross_entropy, "mse": nn.functional.mse_loss}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def network():
    layers = []
    for inputs, outputs in zip(ROW.sizes, ROW.sizes[1:]):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[ROW.activation]()]
    return nn.Sequential(*layers[:-1])


def prepare(transform=lambda function: function):
    """`transform` is applied to the function that takes a batch: nothing here, torch.compile in torch_compiled.py."""
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    model = network()
    batches = [(torch.from_numpy(inputs), torch.from_numpy(targets)) for inputs, targets in data()]
    return predict(model, batches, transform) if ROW.work == "predict" else train(model, batches, transform)


def train(model, batches, transform):
    optimizer = OPTIMIZERS[ROW.optimizer](model.parameters(), lr=LEARNING_RATE, fused=True)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16) if ROW.precision == "bf16" else nullcontext()

    def loss(inputs, targets):
        with autocast:
            return LOSSES[ROW.loss](model(inputs), targets)

    loss = transform(loss)

    def run(steps):
        for step in range(steps):
            loss(*batches[step % len(batches)]).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def predict(model, batches, transform):
    model = model.eval()

    def probabilities(inputs):
        return model(inputs).softmax(dim=1)

    probabilities = transform(probabilities)

    @torch.inference_mode()
    def run(calls):
        for _ in range(calls):
            for inputs, _ in batches:
                probabilities(inputs)

    return run


VERSIONS = {"torch": torch.__version__}

if __name__ == "__main__":
    main(prepare, VERSIONS)
