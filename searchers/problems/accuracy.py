"""What an oracle knows of a study's candidates: one question for a batch, one answer as quantities for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from searchers.oracles.accuracy import FP32, Accuracy, Bits, Keep, Oracle, Policy, Subject
from searchers.problems.networks import SearchedNetwork
from searchers.quantities import ACCURACY, ACCURACY_BOUND, LOSS, LOSS_BOUND, SIGMA
from searchers.space import Candidate
from workloads.layers import ACT_BITS, WGT_BITS, LayerTable
from workloads.networks.tiny_residual import BLOCKS, END_BITS, layer_bits
from workloads.networks.tiny_residual import Architecture as TinyResidual

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
    provenance : str
        What the values are, how widths were reached, where both come from.
    """

    def __init__(self, oracle: Oracle, regime: str) -> None:
        self._oracle, self._regime = oracle, regime
        value, bound = (ACCURACY, ACCURACY_BOUND) if oracle.more_is_better else (LOSS, LOSS_BOUND)
        self.quantities = (value, bound, SIGMA)
        self.content = (oracle.name, oracle.provenance, regime)
        self.provenance = f"{value}: {oracle.quantity} [{oracle.unit}], {regime}, {oracle.provenance}"

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
        architecture = self._network.architecture(choice)
        subject = Subject(self._network.names[0], architecture, table.with_batch(1))
        return subject, self._policy(candidate, architecture, table)

    def _policy(self, candidate: Candidate, architecture: Any, table: LayerTable) -> Policy:
        if self._regime == FP32:
            return None
        of_layers = Bits(_widths(table.values[:, ACT_BITS].tolist()), _widths(table.values[:, WGT_BITS].tolist()))
        if not isinstance(architecture, TinyResidual):
            return of_layers
        # Its widths are those of its blocks, if that is how its layers have them.
        of_blocks = Bits(
            *(_widths(candidate.get(f"bits.{name}", (END_BITS,) * BLOCKS)) for name in ("activations", "weights"))
        )
        if len(of_blocks.activations) != BLOCKS or of_layers != Bits(
            layer_bits(architecture, of_blocks.activations), layer_bits(architecture, of_blocks.weights)
        ):
            return of_layers
        return of_blocks


class AttentionOracle(AskedOracle):
    """What is known of models with what their attention keeps on a machine.

    Parameters
    ----------
    oracle : Oracle
    regime : str
    preset : Config
        Of SpAtten, as published.
    """

    SAID = tuple(field.name for field in fields(Keep))
    # What else changes the outputs: no policy says it, and all that is known was measured with the published values.
    UNSAID = ("schedule", "selection", "value_bits", "requant_threshold", "probability_bits", "fc_bits")

    def __init__(self, oracle: Oracle, regime: str, preset: Any) -> None:
        super().__init__(oracle, regime)
        self._preset = preset

    def ask(self, configs: Sequence[Any], models: Sequence[str]) -> list[Answer]:
        """Return what is known of models on SpAtten's configurations, with the options they are named with."""
        policies = [Keep(*(getattr(config, field) for field in self.SAID)) for config in configs]
        answers = self.answers([Subject(model) for model in models], policies)
        return [self._unsaid(config) or answer for config, answer in zip(configs, answers, strict=True)]

    def _unsaid(self, config: Any) -> str:
        """Say what of a configuration no policy says and nothing is known of."""
        for field in self.UNSAID:
            value, known = getattr(config, field), getattr(self._preset, field)
            if value != known:
                return f"{self._oracle.name}: {field} = {value}, known is only {known}"
        return ""


def _widths(widths: Any) -> tuple[int, ...]:
    return tuple(map(int, widths))
