"""The temperature that scikit-learn fits to logits, to hold ours against."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator


class _Logits(ClassifierMixin, BaseEstimator):
    """A classifier whose samples are its logits, for scikit-learn to calibrate."""

    def fit(self, logits, types):
        self.classes_ = np.arange(logits.shape[1])
        return self

    def decision_function(self, logits):
        return logits

    def predict(self, logits):
        return logits.argmax(axis=1)


def calibrate(logits, types):
    """Fit scikit-learn's temperature to logits: a classifier that takes logits."""
    frozen = FrozenEstimator(_Logits().fit(logits, types))
    return CalibratedClassifierCV(frozen, method="temperature").fit(logits, types)
