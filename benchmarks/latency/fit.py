"""Published milliseconds as a sum of non-negative costs: the fit, its doubts and its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def fit(features: Array, ms: Array, least: Array | None = None) -> Array:
    """The non-negative coefficients with the least sum of squared relative errors.

    Lawson and Hanson's non-negative least squares, every row divided by its published time.

    Args:
        features: One row a network, one column a cost; not negative.
        ms: Published milliseconds, above 0.
        least: What each coefficient is at least, in milliseconds per unit; 0 where None.

    Returns:
        Milliseconds per unit of each column.
    """
    from scipy.optimize import nnls

    least = np.zeros(features.shape[1]) if least is None else least
    relative = features / ms[:, None]
    above, _ = nnls(relative, 1 - relative @ least)
    return np.asarray(least + above)


def left_out(
    features: Array, ms: Array, groups: Sequence[str], least: Array | None = None
) -> Array:
    """Every row's prediction by coefficients that no row of its group had a part in."""
    predicted = np.empty(len(ms))
    of = np.array(groups)
    for group in dict.fromkeys(groups):
        out = of == group
        predicted[out] = features[out] @ fit(features[~out], ms[~out], least)
    return predicted


def transferred(
    features: Array, ms: Array, train: NDArray[np.bool_], least: Array | None = None
) -> Array:
    """The predictions of the rows outside `train`, by coefficients of those inside."""
    return np.asarray(features[~train] @ fit(features[train], ms[train], least))


def intervals(
    features: Array,
    ms: Array,
    groups: Sequence[str],
    rounds: int = 1000,
    least: Array | None = None,
) -> Array:
    """The 5th and 95th percentile of each coefficient when whole groups are drawn anew.

    Args:
        features: As for `fit`.
        ms: As for `fit`.
        groups: Rows that stay together, being alike.
        rounds: How often.
        least: As for `fit`.

    Returns:
        2 x columns.
    """
    random = np.random.default_rng(0)
    of, names = np.array(groups), list(dict.fromkeys(groups))
    members = [np.flatnonzero(of == name) for name in names]
    drawn = []
    for _ in range(rounds):
        rows = np.concatenate([members[i] for i in random.integers(0, len(names), len(names))])
        drawn.append(fit(features[rows], ms[rows], least))
    return np.percentile(drawn, (5, 95), axis=0)


@dataclass(frozen=True)
class Errors:
    """How far predictions are from what was published.

    Attributes:
        mean: Mean of the absolute relative errors.
        worst: The largest of them.
        within_10: Part of the rows that are within 10 %.
        bias: Mean of predicted / published, less 1.
        rows: How many.
    """

    mean: float
    worst: float
    within_10: float
    bias: float
    rows: int


def errors(predicted: Array, ms: Array) -> Errors:
    """Of at least one row."""
    relative = predicted / ms - 1
    off = np.abs(relative)
    return Errors(
        float(off.mean()),
        float(off.max()),
        float((off <= 0.1).mean()),
        float(relative.mean()),
        len(ms),
    )
