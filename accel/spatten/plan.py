"""What SpAtten is told to do: how much of every layer is kept, requests of a published table, or a translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from workloads.attention.attention import Attention

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Plan:
    """A cascade: what every layer keeps of tokens, heads and values.

    Attributes
    ----------
    workload : Attention
    token_keep : tuple of float
        Of each layer: the share of all tokens that are alive in it or, by importance, the share of importance they
        hold. What a layer dropped stays dropped in the layers behind it.
    heads : tuple of int
        Of each layer: heads that are alive in it; never more than in the layer before.
    value_keep : float
        Share of a query's keys whose values are used.
    by_importance : bool
    fully_connected : bool
        Whether every layer is followed by its projections and feed-forward network.
    retrieval : ndarray of bool, shape (layers, heads), or None
        Heads that see everything where the others see a window.
    """

    workload: Attention
    token_keep: tuple[float, ...]
    heads: tuple[int, ...]
    value_keep: float
    by_importance: bool
    fully_connected: bool = False
    retrieval: npt.NDArray[np.bool_] | None = None

    @property
    def name(self) -> str:
        """The workload's."""
        return self.workload.name

    def describe(self, part: int) -> str:
        """Say in a few words what the part of a report with this number keeps."""
        if self.fully_connected:
            if part % 2:
                return ""
            part //= 2
        layer = part % len(self.heads)
        kind = "importance" if self.by_importance else "tokens"
        return f"{self.token_keep[layer]:.0%} {kind}, {self.value_keep:.0%} values"


@dataclass(frozen=True, slots=True, eq=False)
class RequestPlan:
    """Requests, one query of one head each, by layers; as the authors' test bench converts its tables.

    Attributes
    ----------
    name : str
    head_dim : int
    layers : tuple of (str, slice)
        Names of layers that run one after another, and their requests.
    keys, values : ndarray of int64, shape (requests,)
        Tokens whose keys and values are read, in eights.
    exact_keys, exact_values : ndarray of int64, shape (requests,)
        The same before rounding up: what the top-k engine selects from, and how many.
    key_bits, low_bits, value_bits : ndarray of int64, shape (requests,)
        ``low_bits`` is 0 for a request that is not computed again.
    selects : ndarray of bool, shape (requests,)
        Whether the top-k engine has to select: of two requests of 6 bits that share bursts, the first does.
    """

    name: str
    head_dim: int
    layers: tuple[tuple[str, slice], ...]
    keys: Integers
    values: Integers
    exact_keys: Integers
    exact_values: Integers
    key_bits: Integers
    low_bits: Integers
    value_bits: Integers
    selects: npt.NDArray[np.bool_]

    def describe(self, layer: int) -> str:
        """Say in a few words what a layer's requests are."""
        part = self.layers[layer][1]
        keys, values = self.keys[part].mean(), self.values[part].mean()
        return f"{part.stop - part.start} requests, {keys:.0f} keys, {values:.0f} values"


class AttentionPart(NamedTuple):
    """Attention of one layer of a translation.

    Attributes
    ----------
    name : str
    times : int
        How often it runs, each time alike.
    plan : Plan
        Of the layer by itself, nothing dropped.
    """

    name: str
    times: int
    plan: Plan


class LinearPart(NamedTuple):
    """Layers around attention that run together.

    Attributes
    ----------
    name : str
    times : int
        How often they run, each time with weights read anew.
    inputs : int
        Numbers that stand for a token.
    weights, tokens : int
    """

    name: str
    times: int
    inputs: int
    weights: int
    tokens: int


@dataclass(frozen=True, slots=True)
class TranslationPlan:
    """A sentence through an encoder and, token by token, through a decoder.

    Attributes
    ----------
    name : str
    parts : tuple of AttentionPart and LinearPart
        One after another; a decoder's parts are given once for all steps.
    """

    name: str
    parts: tuple[AttentionPart | LinearPart, ...]

    def describe(self, part: int) -> str:
        """Say in a few words how often a part runs."""
        times = self.parts[part].times
        return f"{times} times" if times > 1 else ""
