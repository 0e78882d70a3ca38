"""How much what modalities hold likely speaks for one of them showing something else."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST = 1e-4  # a probability that half precision tells from 0


def odds_of_a_liar(likely: Tensor) -> Tensor:
    """Log-likelihood ratios (B, M): modality m shows another class, against none of them does.

    `likely` (B, M, K) are the log-posteriors of each modality alone. With classes that are equally
    frequent, and modalities independent given the class, Bayes' rule gives for the one hypothesis
    the sum over y of prod_k p_k(y), and for the other that of prod_{k != m} p_k(y) times
    (1 - p_m(y)) / (K - 1). A modality that knows nothing has the ratio 1.
    """
    n_others = max(1, likely.shape[2] - 1)
    others = torch.log((1.0 - likely.exp()).clamp(min=LEAST)) - math.log(n_others)
    total = likely.sum(1, keepdim=True)
    return _log_sum(total - likely + others) - _log_sum(total)


def _log_sum(exponents: Tensor) -> Tensor:
    """The logarithm of the sum of exponentials over the last axis.

    TensorRT's parser makes of torch.logsumexp one that has no sum left where all are small.
    """
    top = exponents.amax(2, keepdim=True)
    return torch.log((exponents - top).exp().sum(2)) + top.squeeze(2)
