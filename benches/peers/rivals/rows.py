"""The work that every system is timed on: one row of the table each."""

from dataclasses import dataclass

NOTEBOOK = (784, 500, 200, 100, 30, 30, 30, 10)


@dataclass(frozen=True)
class Row:
    """One kind of work. A step of training takes one batch, a call of prediction all batches in turn."""

    what: str
    unit: str
    #: Name in the table -> field of `schuss bench --json`; the first is what ratios refer to.
    schuss: dict[str, str]
    sizes: tuple[int, ...] = NOTEBOOK
    batch: int = 1000
    batches: int = 4
    work: str = "train"
    activation: str = "relu"
    loss: str = "cross-entropy"
    optimizer: str = "sgd"
    precision: str = "f32"
    #: The share of inputs that are not zero; MNIST has 0.19.
    density: float = 0.19


ROWS = {
    "notebook": Row(
        "one training step of 784-500-200-100-30-30-30-10, relu, batch 1000",
        "ms",
        {"schuss": "train_f32_step_ms"},
    ),
    "notebook_bf16": Row(
        "the same step with products in bf16",
        "ms",
        {"schuss": "train_bf16_step_ms"},
        precision="bf16",
    ),
    "notebook_batch32": Row(
        "the same network, batch 32",
        "us",
        {"schuss": "notebook_batch32_step_us"},
        batch=32,
    ),
    "small": Row(
        "one training step of 784-128-10, relu, batch 64, inputs without zeros",
        "us",
        {"schuss": "small_step_us"},
        sizes=(784, 128, 10),
        batch=64,
        density=1.0,
    ),
    "tiny": Row(
        "one training step of 64-50-10, relu, batch 32",
        "us",
        {"schuss": "tiny_step_us"},
        sizes=(64, 50, 10),
        batch=32,
        density=1.0,
    ),
    "tanh": Row(
        "one full-batch Adam step of 4-32-16-4, tanh, identity output, MSE, 10,000 rows",
        "us",
        {"schuss": "tanh_step_us"},
        sizes=(4, 32, 16, 4),
        batch=10_000,
        batches=1,
        activation="tanh",
        loss="mse",
        optimizer="adam",
        density=1.0,
    ),
    "predict_row": Row(
        "probabilities of one row, 784-500-200-100-30-30-30-10, median of single calls; "
        "inputs without zeros, and for schuss a row of MNIST, too",
        "us",
        {"schuss": "predict_dense_row_us", "schuss, a row of MNIST": "predict_row_us"},
        work="predict",
        batch=1,
        batches=1,
        density=1.0,
    ),
    "predict_60000": Row(
        "probabilities of 60,000 rows, same network; the rivals in batches of 1000",
        "ms",
        {"schuss": "predict_60000_ms"},
        work="predict",
        batches=60,
    ),
    "adam": Row(
        "one training step of 784-500-200-100-30-30-30-10, relu, batch 1000, Adam",
        "ms",
        {"schuss": "adam_step_ms"},
        optimizer="adam",
    ),
}
