"""Linear probe: accuracy of a linear classifier trained with few labels on features of a discriminator.

Radford et al. (2016), section 5.1, with logistic regression for their support vector machine.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import as_double
from evaluation.statistics.intervals import Estimate, rate

INVERSE_PENALTY = 0.01
"""scikit-learn's C on standardised features: of 0.001, 0.01 and 0.1 the best for the control, the pixels of 1,000
labelled images of MNIST. All kinds of features get the same."""
ITERATIONS = 200


def linear_probe(train_features: Tensor, train_labels: Tensor, test_features: Tensor, test_labels: Tensor) -> Estimate:
    """Accuracy on (M, D) test features, with its Wilson interval, of logistic regression fitted to (N, D) others.

    Features are standardised by the training ones. Raises ValueError where those are all of one class.
    """
    if len(train_labels.unique()) < 2:
        raise ValueError(f"a probe needs labels of two classes at least; the {len(train_labels)} given are all of one")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=ITERATIONS))
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a probe that stops early is a probe
        model.fit(_rows(train_features), train_labels.cpu().numpy())
        seen = torch.from_numpy(model.predict(_rows(test_features)))
    return rate(seen == test_labels.cpu())


def labelled_rows(labels: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """Rows of `count` images whose labels a probe is told, as many of each class as there are: the first in a shuffle.

    On the CPU. Of `count` not divisible by the classes the remainder is left out.
    """
    labels = labels.cpu()
    order, classes = permutation(seed, len(labels)), labels.unique()
    each = count // len(classes)
    return torch.cat([order[labels[order] == number][:each] for number in classes])


def _rows(features: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = as_double(features.cpu()).flatten(1).numpy()
    return found
