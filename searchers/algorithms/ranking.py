"""One order of candidates for algorithms that think in one number: constraints, then fronts, then crowding."""

from __future__ import annotations

import moocore
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ranks(objectives: Floats, violations: Floats) -> npt.NDArray[np.int64]:
    """Return each candidate's place among all, 0 for the best; of equals the first is better.

    Candidates that lack less of meeting the constraints come first. Of those that lack as much, earlier fronts come
    first (non-dominated sorting), and within a front those with the largest crowding distance, as in NSGA-II (Deb et
    al., 2002). With one objective this is the plain order.

    Parameters
    ----------
    objectives : ndarray, shape (n, m)
        To be minimised.
    violations : ndarray, shape (n,)
    """
    front = np.zeros(len(objectives), np.int64)
    crowding = np.zeros(len(objectives))
    for lacking in np.unique(violations):
        alike = np.flatnonzero(violations == lacking)
        front[alike] = moocore.pareto_rank(objectives[alike]) if len(alike) > 1 else 0
        for number in np.unique(front[alike]):
            members = alike[front[alike] == number]
            crowding[members] = _crowding(objectives[members])
    order = np.lexsort((np.arange(len(front)), -crowding, front, violations))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _crowding(objectives: Floats) -> Floats:
    """Return the crowding distance of the points of one front; the ends of each objective are infinitely far."""
    count = len(objectives)
    distance = np.zeros(count)
    if objectives.shape[1] == 1:
        return distance
    for column in objectives.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0.0 and count > 2:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance
