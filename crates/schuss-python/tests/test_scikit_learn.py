"""What scikit-learn asks of every estimator; none of it is expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from schuss import SchussClassifier, SchussRegressor


@parametrize_with_checks([SchussClassifier(), SchussRegressor()])
def test_checks(estimator, check):
    check(estimator)
