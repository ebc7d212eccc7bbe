"""The one way to ask about accuracy: answers, refusals, names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from searchers.oracles.accuracy import Accuracy, Estimates, Keep, Oracle, Policy, Subject
from searchers.oracles.proxies import PROXIES, attention_bit_operations
from searchers.oracles.registry import find_oracle
from workloads.errors import OracleError
from workloads.networks.tiny_residual import TinyResidual


class Known(Oracle):
    name, quantity, unit, regimes, provenance = "known", "nothing", "%", ("fp32",), "made up"

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        found = np.full(len(networks), 70.0), np.full(len(networks), 1.5), np.zeros(len(networks), bool)
        refused = {i: "called b" for i, network in enumerate(networks) if network.name == "b"}
        return Estimates(*found, outside={2: "far away"}, refused=refused)


def test_answers_carry_sigma_and_provenance() -> None:
    inside, refused, outside = Known().evaluate([Subject(name) for name in "abc"], [None] * 3, "fp32")
    assert str(inside) == "70.00 ± 1.50 [made up]"
    assert refused.refused
    assert str(refused) == "unknown: called b [made up]"
    assert str(outside) == "70.00 ± 1.50 [made up; far away]"
    assert str(Accuracy(1, 2, True, "inside", "x")) == "1.00 ± 2.00, rank only [x]"


def test_a_regime_it_does_not_know_is_refused_and_one_that_is_none_is_an_error() -> None:
    assert Known().evaluate([Subject("a")], [None], "qat")[0].domain == "known knows fp32, not qat"
    with pytest.raises(OracleError, match="known: regime = int8, need one of fp32, ptq_minmax"):
        Known().evaluate([], [], "int8")
    with pytest.raises(OracleError, match="policies = 0 of them, need one for each of 1"):
        Known().evaluate([Subject("a")], [], "fp32")


def test_an_unknown_oracle_is_an_error() -> None:
    with pytest.raises(OracleError, match=r"oracle: name = nobody, need one of .*MODULE:FUNCTION"):
        find_oracle("nobody")


def test_proxies_count() -> None:
    family = TinyResidual()
    table = family.table(family.largest)
    assert PROXIES["macs"](table) == family.network(family.largest).macs
    assert PROXIES["bit_operations"](table.with_bits(4, 2)) == 8 * table.macs.sum()
    weights = sum(part.kernel_h * part.kernel_w * part.in_c // part.groups * part.out_c for part in table.layers())
    assert PROXIES["parameters"](table) == weights
    assert PROXIES["sqnr_db"](table.with_bits(4, 4)) > PROXIES["sqnr_db"](table.with_bits(4, 3))


def test_the_proxy_of_attention_counts_what_is_kept() -> None:
    assert attention_bit_operations(Keep()) == 12 * 12 + 12 * 8
    assert attention_bit_operations(Keep(0.5, 0.5, 0.25, 4, 0)) == (12 * 4 + 12 * 4 / 4) / 4
