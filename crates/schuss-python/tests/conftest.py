import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="session")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X / X.std(axis=0), y / 100


@pytest.fixture(scope="session")
def labels():
    """Three labels that are linear in the features, each there or not."""
    X = np.random.RandomState(0).randn(600, 8)
    return X, (X[:, :3] + X[:, 3:6] > 0).astype(int)
