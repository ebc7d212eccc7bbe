"""Accuracy oracles: evaluations a second on one core, whole answers included, in batches of a search's generation.

The rival is the same oracle asked about one network at a time.
"""

from __future__ import annotations

import numpy as np

from benchmarks.timing import cpu_seconds, keep, show
from searchers.oracles.accuracy import FP32, PTQ_MINMAX, QAT, Bits, Keep, Subject
from searchers.oracles.characters import NAME as TRANSFORMER
from searchers.oracles.language import NAME as DECODER
from searchers.oracles.registry import find_oracle
from workloads.networks import once_for_all, tiny_residual
from workloads.networks.once_for_all import OnceForAll

BATCH, ALONE = 4000, 400
BAR = "bar 50000"


def main() -> None:
    random = np.random.default_rng(1)

    def of(options, count):
        return tuple(random.choice(options, count).tolist())

    blocks, places = tiny_residual.BLOCKS, once_for_all.STAGES * once_for_all.MOST_BLOCKS
    tiny, tiny_bits, family = [], [], []
    for _ in range(BATCH):
        shape = of((3, 5), blocks), of((3, 4, 6), blocks), of((0.5, 0.75, 1.0), blocks)
        tiny.append(Subject(tiny_residual.NAME, tiny_residual.Architecture(of((1, 2), tiny_residual.STAGES), *shape)))
        tiny_bits.append(Bits(of(tiny_residual.BITS, blocks), of(tiny_residual.BITS, blocks)))
        large = of((2, 3, 4), once_for_all.STAGES), of((3, 5, 7), places), of((3, 4, 6), places)
        family.append(
            Subject(once_for_all.NAME, once_for_all.Architecture(int(random.choice((160, 192, 224))), *large))
        )
    keeps = [Keep(float(share), 1.0, 1.0, 6, 0) for share in random.uniform(0.25, 1, BATCH)]
    tables = [
        Subject(network.name, network.architecture, OnceForAll().table(network.architecture)) for network in family
    ]
    layer_bits = [Bits((8,) * len(network.table), (4,) * len(network.table)) for network in tables]
    asked = {
        "digits": (tiny, tiny_bits, QAT),
        "characters": ([Subject(TRANSFORMER)] * BATCH, keeps, PTQ_MINMAX),
        "language": ([Subject(DECODER)] * BATCH, keeps, PTQ_MINMAX),
        "imagenet": (family, [None] * BATCH, FP32),
        "imagenet, quantized": (tables, layer_bits, QAT),
    }
    oracles = {name: find_oracle(name.partition(",")[0]) for name in asked}

    def ask(name, alone=False):
        networks, policies, regime = asked[name]
        if not alone:
            return oracles[name].evaluate(networks, policies, regime)
        pairs = zip(networks[:ALONE], policies, strict=False)
        return [oracles[name].evaluate([network], [policy], regime) for network, policy in pairs]

    contenders = {name: lambda name=name: ask(name) for name in asked}
    contenders |= {f"{name}, one by one": lambda name=name: ask(name, alone=True) for name in asked}
    seconds = cpu_seconds(contenders)
    figures = {name: (ALONE if "one by one" in name else BATCH) / value for name, value in seconds.items()}
    keep("oracle_speed", figures)
    for name, figure in figures.items():
        show(f"{name} [1/s]", f"{figure:.0f}", "" if "one by one" in name or "quantized" in name else BAR)


if __name__ == "__main__":
    main()
