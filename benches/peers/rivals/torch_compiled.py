"""PyTorch with torch.compile: around the loss and so its backward pass, or around prediction, where the weights are
constants (freezing) and the products are chosen by trial (max-autotune)."""

import os

from common import ROW, main

if ROW.work == "predict":
    os.environ["TORCHINDUCTOR_FREEZING"] = "1"
    os.environ["TORCHINDUCTOR_MAX_AUTOTUNE"] = "1"

import torch  # noqa: E402: reads these settings when it loads
from torch_eager import VERSIONS, prepare  # noqa: E402

if __name__ == "__main__":
    main(lambda: prepare(torch.compile), VERSIONS)
