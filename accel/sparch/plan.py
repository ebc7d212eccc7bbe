"""What SpArch is told to do: the partial matrices of a product, and the rounds they merge in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.sparse.product import SparseProduct

IndexArray = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Plan:
    """A schedule of merges.

    A *leaf* is a partial matrix before merging: the products of some elements of A, no two in one row, with their
    rows of B. Inputs are numbered: leaves first, then the results of rounds, in order.

    Attributes
    ----------
    product : SparseProduct
    leaves_per_round : int
        Streams that merge at once, as of the configuration the plan was made for.
    leaf_pointers : ndarray of int64, shape (leaves + 1,)
        Where each leaf's elements begin in ``leaf_elements``.
    leaf_elements : ndarray of int32, shape (elements,)
        Positions of A's elements in the order A's rows store them; rising within a leaf.
    addresses : ndarray of int32, shape (nnz of A,)
        Where each of A's elements lies in memory, in elements: by rows, or by columns for leaves that are columns.
    weights : ndarray of int64, shape (leaves,)
        Products of each leaf.
    rounds : tuple of ndarray of int64
        Inputs of each round, slot by slot; the last round makes the result.
    pipelined_merge, condensing, huffman : bool
        The techniques it was made with. Without the first, leaves were written to memory before they are merged.
    """

    product: SparseProduct
    leaves_per_round: int
    leaf_pointers: IndexArray
    leaf_elements: Positions
    addresses: Positions
    weights: IndexArray
    rounds: tuple[IndexArray, ...]
    pipelined_merge: bool
    condensing: bool
    huffman: bool

    @property
    def leaves(self) -> int:
        """How many partial matrices there are before merging."""
        return len(self.weights)

    @property
    def input_weights(self) -> list[int]:
        """Most elements of every input: of leaves their products, of rounds' results those of all they merged."""
        weights = [int(weight) for weight in self.weights]
        for inputs in self.rounds:
            weights.append(sum(weights[number] for number in inputs))
        return weights

    @property
    def predicted_spill(self) -> int:
        """Most elements that rounds write to memory to be read again; fewer where products coincide."""
        return sum(self.input_weights[self.leaves : -1]) if self.rounds else 0

    def describe(self) -> str:
        """Say in a few words how the product is laid."""
        rounds = f"{self.leaves} partial matrices in {len(self.rounds)} rounds of up to {self.leaves_per_round}"
        return f"{rounds}, at most {self.predicted_spill:,} elements spilled"
