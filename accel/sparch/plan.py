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
    element_leaves : ndarray of int32, shape (nnz of A,)
        The leaf of each of A's elements, in the order A's rows store them; -1 for one that is not multiplied.
    addresses : ndarray of int32, shape (nnz of A,)
        Where each of A's elements lies in memory, in elements: by rows, or by columns for leaves that are columns.
    sizes, weights : ndarray of int64, shape (leaves,)
        Elements of A of each leaf, and its products.
    rounds : tuple of ndarray of int64
        Inputs of each round, slot by slot; the last round makes the result.
    marked_rows : ndarray of int64
        Rows of A before which each round's result is to be counted: where a sample's slabs begin and end.
    pipelined_merge, condensing, huffman : bool
        The techniques it was made with. Without the first, leaves were written to memory before they are merged.
    """

    product: SparseProduct
    leaves_per_round: int
    element_leaves: Positions
    addresses: Positions
    sizes: IndexArray
    weights: IndexArray
    rounds: tuple[IndexArray, ...]
    marked_rows: IndexArray
    pipelined_merge: bool
    condensing: bool
    huffman: bool

    @property
    def multiplies(self) -> int:
        """Products of all leaves."""
        return int(self.weights.sum())

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


@dataclass(frozen=True, slots=True, eq=False)
class SamplePlan:
    """Slabs of a product's rows, laid as in the whole product.

    Attributes
    ----------
    product : SparseProduct
        The whole.
    share : float
        Of the whole's multiplications, which the slabs hold about. Above 0, at most 1.
    slabs : Plan
        Of the rows of A that are in slabs or come before one: leaves and rounds are the whole's, and the leaves'
        elements those that are multiplied.
    multiplied : ndarray of bool, shape (nnz of the slabs' A,)
        Whether an element is multiplied; the others only fill the prefetch buffer.
    measured : ndarray of bool, shape (nnz of the slabs' A,)
        Whether it is in a slab: the cycles in which these are multiplied are measured.
    element_leaves : ndarray of int32, shape (nnz of the slabs' A,)
        The leaf of each element, -1 for one that is dropped because its leaf has no products.
    looked_ahead, multiplies : int
        Elements of A in the whole's leaves, and their products.
    """

    product: SparseProduct
    share: float
    slabs: Plan
    multiplied: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.bool_]
    element_leaves: Positions
    looked_ahead: int
    multiplies: int

    @property
    def leaves(self) -> int:
        """How many partial matrices the whole has before merging."""
        return self.slabs.leaves

    @property
    def rounds(self) -> tuple[IndexArray, ...]:
        """Inputs of each round."""
        return self.slabs.rounds

    @property
    def sampled_multiplies(self) -> int:
        """Multiplications that are run, measured or not."""
        return int(self.slabs.weights.sum())

    def describe(self) -> str:
        """Say in a few words how the product is laid, and how much of it is run."""
        rounds = f"{self.leaves} partial matrices in {len(self.rounds)} rounds of up to {self.slabs.leaves_per_round}"
        return f"{rounds}; {self.sampled_multiplies:,} of {self.multiplies:,} multiplications run"
