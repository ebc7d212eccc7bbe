"""Laws that every oracle inherits: the same answer again, more bits never worse, refusals with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from searchers.oracles.accuracy import FP32, PTQ_RECONSTRUCTION, QAT, REGIMES, Bits, Keep, Oracle, Policy, Subject
from searchers.oracles.characters import NAME as TRANSFORMER
from searchers.oracles.digits import measured
from searchers.oracles.imagenet import WIDE
from searchers.oracles.language import NAME as DECODER
from searchers.oracles.registry import ORACLES, find_oracle
from workloads.networks import once_for_all, tiny_residual
from workloads.networks.once_for_all import OnceForAll
from workloads.networks.tiny_residual import TinyResidual

Question = tuple[Subject, Policy]


class OracleLaws:
    """What holds for every oracle.

    ``inside`` and ``outside`` are questions that it must and must not answer; ``rising`` are policies of the first
    network in the order of bits, fewest first.
    """

    name: str
    regime: str
    inside: Sequence[Question]
    outside: Sequence[tuple[Subject, Policy, str]]
    rising: Sequence[Policy] = ()

    @pytest.fixture
    def oracle(self) -> Oracle:
        return find_oracle(self.name)

    def test_it_is_described(self, oracle: Oracle) -> None:
        assert oracle.name == self.name
        assert oracle.quantity
        assert oracle.unit
        assert oracle.provenance
        assert set(oracle.regimes) <= set(REGIMES)
        assert ORACLES[self.name].description

    def test_answers_are_whole(self, oracle: Oracle) -> None:
        for answer in oracle.evaluate(*self._asked(self.inside), self.regime):
            assert not answer.refused
            assert math.isfinite(answer.value)
            assert 0 < answer.sigma < math.inf
            assert answer.domain
            assert f"± {answer.sigma:.2f}" in str(answer)
            assert answer.provenance in str(answer)

    def test_the_same_question_has_the_same_answer_in_any_batch(self, oracle: Oracle) -> None:
        outside = [question[:2] for question in self.outside]
        networks, policies = self._asked([*self.inside, *outside, *self.inside])
        together = oracle.evaluate(networks, policies, self.regime)
        again = find_oracle(self.name)
        for network, policy, answer in zip(networks, policies, together, strict=True):
            assert str(again.evaluate([network], [policy], self.regime)[0]) == str(answer)
        assert oracle.evaluate([], [], self.regime) == []

    def test_more_bits_are_never_worse(self, oracle: Oracle) -> None:
        if not oracle.monotone_in_bits:
            pytest.skip("not claimed")
        network = self.inside[0][0]
        answers = oracle.evaluate([network] * len(self.rising), self.rising, self.regime)
        values = [answer.value if oracle.more_is_better else -answer.value for answer in answers]
        assert len(values) > 2
        assert values == sorted(values)
        assert values[0] < values[-1]

    def test_what_is_outside_is_refused_with_a_reason(self, oracle: Oracle) -> None:
        networks, policies = self._asked([question[:2] for question in self.outside])
        for answer, (_, _, reason) in zip(oracle.evaluate(networks, policies, self.regime), self.outside, strict=True):
            assert answer.refused
            assert answer.rank_only
            assert reason in answer.domain

    def test_regimes_it_does_not_know_are_refused(self, oracle: Oracle) -> None:
        for regime in set(REGIMES) - set(oracle.regimes):
            answers = oracle.evaluate(*self._asked(self.inside), regime)
            assert all(answer.refused and regime in answer.domain for answer in answers)

    @staticmethod
    def _asked(questions: Sequence[Question]) -> tuple[list[Subject], list[Policy]]:
        return [network for network, _ in questions], [policy for _, policy in questions]


TINY = Subject(tiny_residual.NAME, TinyResidual().largest)
LARGEST = OnceForAll().largest
SMALL_IMAGE = once_for_all.Architecture(144, LARGEST.depths, LARGEST.kernels, LARGEST.expansions)
MIDDLE = once_for_all.Architecture(192, (3,) * 5, (5,) * 20, (4,) * 20)
FAMILY = Subject(once_for_all.NAME, MIDDLE, OnceForAll().table(MIDDLE))
WIDE_FAMILY = Subject(WIDE, MIDDLE, OnceForAll(1.2).table(MIDDLE))
LAYERS = len(OnceForAll().table(MIDDLE))


def uniform(weights: int, activations: int, places: int) -> Bits:
    return Bits((activations,) * places, (weights,) * places)


class TestDigits(OracleLaws):
    name, regime = "digits", QAT
    inside = ((TINY, uniform(8, 8, 4)), (TINY, Bits((2, 3, 4, 6), (8, 6, 4, 2))), (TINY, uniform(5, 7, 4)))
    outside = (
        (FAMILY, uniform(8, 8, 4), "once-for-all is not of the tiny-residual family"),
        (TINY, None, "does not give one width for each of 4 block places"),
        (TINY, uniform(8, 8, 6), "does not give one width"),
        (TINY, Keep(), "does not give one width"),
        (TINY, uniform(1, 8, 4), "1 to 8 bits, trained were 2 to 8"),
        (TINY, uniform(8, 16, 4), "8 to 16 bits"),
    )
    rising = (uniform(2, 2, 4), uniform(2, 3, 4), uniform(3, 3, 4), uniform(6, 4, 4), uniform(8, 8, 4))


class TestDigitsTable(OracleLaws):
    name, regime = "digits-table", QAT
    inside = tuple((Subject(tiny_residual.NAME, network.architecture), network.bits) for network in measured()[:5])
    outside = ((TINY, uniform(8, 8, 4), "this network was not trained"), (FAMILY, None, "was not trained"))


class TestCharacters(OracleLaws):
    name, regime = "characters", "ptq_minmax"
    network = Subject(TRANSFORMER)
    inside = ((network, Keep()), (network, Keep(0.25, 0.5, 0.3, 3, 0)), (network, Keep(0.6, 0.8, 0.7, 5, 2)))
    outside = (
        (FAMILY, Keep(), "once-for-all was not run"),
        (network, None, "does not say what attention keeps"),
        (network, Keep(token_keep=0.1), "token_keep = 0.1, run were 0.25 to 1"),
        (network, Keep(msb_bits=2), "2 + 4 bits"),
        (network, Keep(msb_bits=10), "10 + 4 bits"),
    )
    rising = tuple(Keep(0.5, msb_bits=bits, lsb_bits=0) for bits in range(3, 9))


class TestLanguage(OracleLaws):
    name, regime = "language", "ptq_minmax"
    network = Subject(DECODER)
    inside = ((network, Keep()), (network, Keep(0.25, 0.5, 0.3, 3, 0)), (network, Keep(0.6, 0.8, 0.7, 5, 2)))
    outside = (
        (TestCharacters.network, Keep(), "majority-transformer was not run, only language-transformer"),
        *((Subject(DECODER), policy, reason) for _, policy, reason in TestCharacters.outside[1:]),
    )
    rising = TestCharacters.rising


class TestImageNet(OracleLaws):
    name, regime = "imagenet", PTQ_RECONSTRUCTION
    inside = ((FAMILY, uniform(8, 8, LAYERS)), (WIDE_FAMILY, uniform(4, 6, LAYERS)), (FAMILY, uniform(2, 2, LAYERS)))
    outside = (
        (TINY, uniform(8, 8, LAYERS), "not of the Once-for-All family"),
        (Subject(once_for_all.NAME, SMALL_IMAGE, FAMILY.table), uniform(8, 8, LAYERS), "images of 144 pixels"),
        (Subject(once_for_all.NAME, LARGEST), uniform(8, 8, LAYERS), "layers of once-for-all are not given"),
        (FAMILY, None, "gives no widths"),
        (FAMILY, uniform(8, 8, 4), f"4 and 4 widths for {LAYERS} layers"),
        (FAMILY, uniform(1, 8, LAYERS), "1 bits: no published pair"),
    )
    rising = tuple(uniform(weights, activations, LAYERS) for weights, activations in ((2, 2), (2, 4), (4, 4), (8, 8)))

    def test_below_four_bits_it_only_ranks(self, oracle: Oracle) -> None:
        trusted, low = oracle.evaluate([FAMILY] * 2, [uniform(8, 8, LAYERS), uniform(3, 8, LAYERS)], QAT)
        assert not trusted.rank_only
        assert low.rank_only
        assert low.sigma >= trusted.sigma

    def test_before_quantization(self, oracle: Oracle) -> None:
        largest = Subject(once_for_all.NAME, LARGEST)
        before, wide, far = oracle.evaluate([FAMILY, WIDE_FAMILY, largest], [None] * 3, FP32)
        after = oracle.evaluate([FAMILY], [uniform(8, 8, LAYERS)], QAT)[0]
        assert before.value > after.value
        assert wide.value > before.value
        assert before.sigma == 0.4
        assert far.domain == "beyond the published networks that it was set right on"
        assert far.sigma == 1.0


class TestQuantizationDrop(OracleLaws):
    name, regime = "quantization-drop", QAT
    inside, rising = TestImageNet.inside, TestImageNet.rising
    outside = (TestImageNet.outside[2], TestImageNet.outside[3], TestImageNet.outside[5])

    def test_sigma_is_at_least_half_of_the_drop_and_large_ones_only_rank(self, oracle: Oracle) -> None:
        for regime in oracle.regimes:
            for answer in oracle.evaluate([FAMILY] * len(self.rising), self.rising, regime):
                assert answer.sigma >= max(0.5, answer.value / 2)
                assert answer.rank_only or answer.sigma <= 1

    def test_depthwise_layers_cost_more(self, oracle: Oracle) -> None:
        from workloads.networks.resnet import resnet18

        table = resnet18().table()
        dense = Subject("resnet18", None, table)
        policies = [uniform(4, 4, LAYERS), uniform(4, 4, len(table))]
        with_depthwise, without = oracle.evaluate([FAMILY, dense], policies, QAT)
        assert with_depthwise.value > 2 * without.value


class TestPublished(OracleLaws):
    name, regime = "published", QAT
    inside = ((Subject("apq-8.45ms"), None), (Subject("resnet18"), uniform(4, 4, 20)))
    outside = (
        (Subject("resnet18"), uniform(5, 4, 20), "nothing is printed of resnet18 under qat at 5 and 4 bits"),
        (Subject("resnet18"), Bits((4, 8), (4, 4)), "nothing is printed"),
        (Subject("no such network"), None, "nothing is printed of no such network"),
    )

    def test_methods_that_differ_are_the_doubt(self, oracle: Oracle) -> None:
        three, one = oracle.evaluate(
            [Subject("resnet18"), Subject("regnetx800m")], [uniform(3, 3, 20), uniform(4, 8, 20)], PTQ_RECONSTRUCTION
        )
        assert three.sigma > 0.4
        assert one.sigma == 0.2

    def test_printed_figures(self, oracle: Oracle) -> None:
        names = [Subject("flops@595M_top1@80.0_finetune@75"), Subject("mcunet-in4")]
        assert [answer.value for answer in oracle.evaluate(names, [None, None], FP32)] == [80.0, 68.4]


class TestPublishedBleu(OracleLaws):
    name, regime = "published-bleu", FP32
    inside = ((Subject("HAT_wmt14ende_raspberrypi@3.5s_bleu@25.8"), None),)
    outside = ((Subject("resnet18"), None, "nothing is printed of resnet18 under fp32"),)


def test_the_words_imagenet_accuracy_stand_only_where_an_oracle_of_it_speaks() -> None:
    root = Path(__file__).parents[2]
    sources = [path for room in ("searchers", "sextant", "mappers", "accel") for path in (root / room).rglob("*.py")]
    said = {path.name for path in sources if "imagenet accuracy" in path.read_text(encoding="utf-8").lower()}
    assert said == {"imagenet.py", "published.py", "quantization_drop.py"}


def test_every_oracle_without_a_file_is_held_to_the_laws() -> None:
    tested = {law.name for law in OracleLaws.__subclasses__()}
    assert tested == {name for name, entry in ORACLES.items() if not entry.needs_file}
