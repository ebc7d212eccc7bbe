"""What is believed about a network's accuracy, how far to believe it, and the one way to ask.

An oracle is asked about many networks at once. It answers each with a value, its standard deviation and where both
come from, or refuses it and says why. A refusal is an answer: a search goes on without the candidate.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from workloads.errors import OracleError
from workloads.layers import LayerTable

Floats = npt.NDArray[np.float64]

FP32, PTQ_MINMAX, PTQ_RECONSTRUCTION, QAT = REGIMES = ("fp32", "ptq_minmax", "ptq_reconstruction", "qat")
INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An oracle's answer about one network.

    Attributes
    ----------
    value : float
        In the oracle's unit; NaN where it refuses.
    sigma : float
        Standard deviation of the value, same unit; infinite where the oracle refuses.
    rank_only : bool
        Whether the value may order candidates and nothing else.
    domain : str
        ``inside`` what the oracle was made from, or why the network is outside.
    provenance : str
        What was measured or fitted, on what, by whom.
    """

    value: float
    sigma: float
    rank_only: bool
    domain: str
    provenance: str

    @property
    def refused(self) -> bool:
        """Whether the oracle does not know."""
        return math.isnan(self.value)

    def __str__(self) -> str:
        if self.refused:
            return f"unknown: {self.domain} [{self.provenance}]"
        doubt = ", rank only" if self.rank_only else ""
        outside = "" if self.domain == INSIDE else f"; {self.domain}"
        return f"{self.value:.2f} ± {self.sigma:.2f}{doubt} [{self.provenance}{outside}]"


@dataclass(frozen=True, slots=True)
class Subject:
    """A network that an oracle is asked about.

    Attributes
    ----------
    name : str
        The family's, or the one it was published by.
    architecture : object
        The family's description of it, e.g. ``workloads.networks.once_for_all.Architecture``; None for a fixed network.
    table : LayerTable or None
        Its layers, batch 1. Proxies and the quantization drop need them.
    """

    name: str
    architecture: Any = None
    table: LayerTable | None = None


@dataclass(frozen=True, slots=True)
class Bits:
    """Widths of a network's operands [bits].

    Attributes
    ----------
    activations, weights : tuple of int
        One for each layer of the subject's table. In the ``tiny-residual`` family one for each of its block places,
        used or not; its first and last layers have 8.
    """

    activations: tuple[int, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """What attention keeps, as SpAtten's configuration says it.

    Attributes
    ----------
    token_keep, head_keep, value_keep : float
        Shares, above 0, at most 1.
    msb_bits, lsb_bits : int
        Bits of keys read first, and of the rest; values have ``msb_bits``.
    """

    token_keep: float = 1.0
    head_keep: float = 1.0
    value_keep: float = 1.0
    msb_bits: int = 8
    lsb_bits: int = 4


Policy = Bits | Keep | None


@dataclass(frozen=True, slots=True)
class Estimates:
    """What an oracle found, as arrays.

    Attributes
    ----------
    values, sigmas : ndarray of float64, shape (n,)
    rank_only : ndarray of bool, shape (n,)
    outside : mapping of int to str
        For subjects outside the domain the reason.
    refused : mapping of int to str
        For those that get no value the reason.
    """

    values: Floats
    sigmas: Floats
    rank_only: npt.NDArray[np.bool_]
    outside: Mapping[int, str] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)


class Oracle(ABC):
    """Something that knows accuracies.

    Attributes
    ----------
    name : str
        As studies name it.
    quantity, unit : str
        What the values are, e.g. ``top-1 on corrupted digits`` and ``%``.
    regimes : tuple of str
        Out of ``REGIMES``: what it knows of.
    provenance : str
        Goes with every answer.
    more_is_better : bool
    monotone_in_bits : bool
        Whether more bits in any place never give a worse value.
    """

    name: ClassVar[str]
    quantity: str
    unit: str
    regimes: tuple[str, ...]
    provenance: str
    more_is_better: bool = True
    monotone_in_bits: bool = False

    def evaluate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> list[Accuracy]:
        """Answer about networks, each quantized or pruned by the policy at the same place.

        Parameters
        ----------
        networks : sequence of Subject, length n
        policies : sequence of Bits, Keep or None, length n
            None: not quantized, nothing pruned.
        regime : str
            How the widths were reached: ``fp32`` (not at all), ``ptq_minmax`` (rounded after training, ranges taken
            as they are), ``ptq_reconstruction`` (rounded after training, layer outputs fitted), ``qat`` (trained).

        Returns
        -------
        list of Accuracy, length n
            The same for the same question, whatever else is in the batch.

        Raises
        ------
        OracleError
            If the regime is none, or there is not one policy per network. What is outside the domain raises nothing.
        """
        if regime not in REGIMES:
            raise OracleError(self.name, "regime", regime, "one of " + ", ".join(REGIMES))
        if len(networks) != len(policies):
            raise OracleError(self.name, "policies", f"{len(policies)} of them", f"one for each of {len(networks)}")
        if regime not in self.regimes:
            reason = f"{self.name} knows {', '.join(self.regimes)}, not {regime}"
            return [self._refusal(reason)] * len(networks)
        found = self._estimate(networks, policies, regime)
        outside, refused, provenance = found.outside, found.refused, self.provenance
        rows = zip(found.values.tolist(), found.sigmas.tolist(), found.rank_only.tolist(), strict=True)
        if not outside and not refused:
            return [Accuracy(value, sigma, rank, INSIDE, provenance) for value, sigma, rank in rows]
        return [
            self._refusal(refused[index])
            if index in refused
            else Accuracy(value, sigma, rank, outside.get(index, INSIDE), provenance)
            for index, (value, sigma, rank) in enumerate(rows)
        ]

    @abstractmethod
    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        """Answer in arrays; the regime is one of ``regimes``."""

    def _refusal(self, reason: str) -> Accuracy:
        return Accuracy(math.nan, math.inf, True, reason, self.provenance)
