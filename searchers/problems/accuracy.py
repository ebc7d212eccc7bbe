"""What an oracle knows of a study's candidates: one question for a batch, one answer as quantities for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from searchers.oracles.accuracy import FP32, Accuracy, Bits, Keep, Oracle, Policy, Subject
from searchers.problems.networks import SearchedNetwork
from searchers.quantities import ACCURACY, ACCURACY_BOUND, LOSS, LOSS_BOUND, SIGMA
from searchers.space import Candidate
from workloads.layers import ACT_BITS, WGT_BITS, LayerTable
from workloads.networks import tiny_residual

NETWORK = "network."
Answer = dict[str, float] | str


class AskedOracle:
    """An oracle, the regime it is asked for, and its answers as quantities.

    Attributes
    ----------
    quantities : tuple of str
        The value, what a search should believe of it (its standard deviation to the worse), and that deviation.
    content : tuple of str
        What names the answers.
    """

    def __init__(self, oracle: Oracle, regime: str) -> None:
        self._oracle, self._regime = oracle, regime
        value, bound = (ACCURACY, ACCURACY_BOUND) if oracle.more_is_better else (LOSS, LOSS_BOUND)
        self.quantities = (value, bound, SIGMA)
        self.content = (oracle.name, oracle.provenance, regime)

    def answers(self, subjects: Sequence[Subject], policies: Sequence[Policy]) -> list[Answer]:
        """Return what is known of each network as quantities, or why nothing is."""
        return [self._quantities(found) for found in self._oracle.evaluate(subjects, policies, self._regime)]

    def _quantities(self, found: Accuracy) -> Answer:
        if found.refused:
            return f"{self._oracle.name}: {found.domain}"
        bound = found.value + (-found.sigma if self._oracle.more_is_better else found.sigma)
        return dict(zip(self.quantities, (found.value, bound, found.sigma), strict=True))


class NetworkOracle(AskedOracle):
    """What is known of searched networks with their widths."""

    def __init__(self, oracle: Oracle, regime: str, network: SearchedNetwork) -> None:
        super().__init__(oracle, regime)
        self._network = network

    def ask(self, candidates: Sequence[Candidate], tables: Sequence[LayerTable]) -> list[Answer]:
        """Return what is known of candidates with their layers."""
        questions = [self.question(*both) for both in zip(candidates, tables, strict=True)]
        return self.answers([subject for subject, _ in questions], [policy for _, policy in questions])

    def question(self, candidate: Candidate, table: LayerTable) -> tuple[Subject, Policy]:
        """Return a candidate's network and its widths as the oracle is asked about them."""
        choice = {name.removeprefix(NETWORK): value for name, value in candidate.items() if name.startswith(NETWORK)}
        subject = Subject(self._network.names[0], self._network.architecture(choice), table.with_batch(1))
        return subject, self._policy(candidate, table)

    def _policy(self, candidate: Candidate, table: LayerTable) -> Policy:
        if self._regime == FP32:
            return None
        if self._network.names[0] == tiny_residual.NAME:  # its widths are those of its blocks
            return Bits(_widths(candidate["bits.activations"]), _widths(candidate["bits.weights"]))
        return Bits(_widths(table.values[:, ACT_BITS].tolist()), _widths(table.values[:, WGT_BITS].tolist()))


class AttentionOracle(AskedOracle):
    """What is known of a model with what its attention keeps."""

    def __init__(self, oracle: Oracle, regime: str, model: str) -> None:
        super().__init__(oracle, regime)
        self._model = model

    def ask(self, configs: Sequence[Any], choices: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Return what is known of SpAtten's configurations."""
        policies = [
            Keep(config.token_keep, config.head_keep, config.value_keep, config.msb_bits, config.lsb_bits)
            for config in configs
        ]
        return self.answers([Subject(self._model, None, None)] * len(configs), policies)


def _widths(widths: Any) -> tuple[int, ...]:
    return tuple(map(int, widths))
