"""The UCI digits: an estimator among scikit-learn's, and the network below it with a callback."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import schuss

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)

model = make_pipeline(MinMaxScaler(), schuss.SchussClassifier(early_stopping=True, random_state=0)).fit(X, y)
print(f"estimator: {model.score(X_test, y_test):.2%} after {model[-1].n_iter_} epochs")

network = schuss.Network([64, 128, 64, 10]).divide(16)
trainer = schuss.Trainer(network, learning_rate=0.002, schedule="one-cycle", epochs=40)
history = trainer.fit(X, y, test=(X_test, y_test), callback=lambda record: record["test"]["accuracy"] > 0.98)
print(f"network: {history.summary['test']['accuracy']:.2%} after {history.epochs[-1]['epoch'] + 1} epochs")
