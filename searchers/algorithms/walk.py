"""A candidate as a walk: genes are chosen one after another, each after seeing what was chosen before.

Source: Wang et al., "HAQ", CVPR 2019, and He et al., "AMC", ECCV 2018: an agent walks through the layers of a network
and takes one continuous action at each, 0..1, which stands for a value as a share of the values there are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from searchers.space import Genomes, Space, gene_count

Floats = npt.NDArray[np.float64]
FEATURES = 7  # of a gene, the last two about what was chosen so far


class Walk:
    """What an agent sees of a space, gene by gene.

    Attributes
    ----------
    steps : int
        Genes.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self.steps = len(space)
        fixed = []
        for number, (name, knob) in enumerate(space.knobs.items()):
            length = gene_count(knob)
            genes = space.genes(name)
            for place in range(length):
                places = int(space.places[genes.start + place])
                fixed.append((
                    (genes.start + place) / self.steps,
                    number / len(space.knobs),
                    (place + 1) / length,
                    1.0 / places if places else 0.0,
                ))  # fmt: skip
        self._fixed = np.array(fixed)

    def seen(self, actions: Floats) -> Floats:
        """Return what is seen before the next action.

        Parameters
        ----------
        actions : ndarray, shape (n, steps so far)

        Returns
        -------
        ndarray, shape (n, FEATURES)
            Where the gene stands among all, which knob it is of, where it stands in it, one over its values, whether it
            matters, the last action and the mean of all, each 0..1. Behind the last gene all zeros.
        """
        count, step = actions.shape
        seen = np.zeros((count, FEATURES))
        if step == self.steps:
            return seen
        seen[:, :4] = self._fixed[step]
        padded = np.zeros((count, self.steps))
        padded[:, :step] = actions
        seen[:, 4] = self._space.active(self._inside(padded))[:, step]
        if step:
            seen[:, 5], seen[:, 6] = actions[:, -1], actions.mean(axis=1)
        return seen

    def genomes(self, actions: Floats) -> Genomes:
        """Return the candidates that whole walks, shape (n, steps), lead to."""
        return self._space.random(np.clip(actions, 0.0, np.nextafter(1.0, 0.0)))

    def _inside(self, actions: Floats) -> Genomes:
        shares = np.clip(actions, 0.0, np.nextafter(1.0, 0.0))
        return np.where(self._space.places > 0, np.floor(shares * self._space.places), shares)
