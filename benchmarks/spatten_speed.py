"""SpAtten, computed and timed event by event, against dense attention in numpy; its top-k engine against a partition.

Both sides of every ratio run on one thread: ``OPENBLAS_NUM_THREADS`` is set to 1 before numpy is imported, because CPU
time adds up over threads. Dense attention is ``softmax(q k^T / sqrt(d)) v`` in single precision, and nothing else.
Layers are generated ones of models by name, the middle layer of each. A *kept* plan was run before, so that its numbers
lie quantized, as in a search over machines; a *whole* run lays the plan and quantizes too. The engine's rivals are
numpy's, which use the processor's widest instructions, and, of sorting, a kernel's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numba
import numpy as np
from numpy.typing import NDArray

from accel.spatten import PRESETS, simulate
from accel.spatten.topk_kernels import keep_largest, quick_select, scratch, seeded
from benchmarks.timing import cpu_seconds, keep, number_printed, show
from mappers.spatten import best_plan
from workloads.attention.attention import Attention, LayerAttention, held_attention
from workloads.attention.catalog import open_attention

PAPER = PRESETS["paper"]
LAYERS = {
    "BERT-base, 128": "bert-base:length=128",
    "BERT-base, 384": "bert-base:length=384",
    "BERT-base, 512": "bert-base:length=512",
    "GPT-2, a token at 1024": "gpt2-small:prompt=1023,generate=1",
}
STATIC, PROGRESSIVE = "8 bits", "8 + 4 bits"
CONFIGS = {
    STATIC: replace(PAPER, value_keep=0.25, lsb_bits=0),
    PROGRESSIVE: replace(PAPER, value_keep=0.25),
    "8 bits, all values": replace(PAPER, lsb_bits=0),
}
LISTS = {64: 16384, 256: 4096, 1024: 1024, 4096: 256}  # candidates, and how many lists of them
COLD = """
import time
import numpy, numba, scipy.sparse
imported = time.process_time()
from accel.spatten import PRESETS, simulate
from mappers.spatten import best_plan
from workloads.attention.catalog import open_attention
simulate(PRESETS["paper"], best_plan(PRESETS["paper"], open_attention("bert-base:length=16")))
print(time.process_time() - imported)
"""


def middle_layer(name: str) -> Attention:
    """Return the middle layer of a model as a workload of its own, held in memory."""
    model = open_attention(name)
    assert isinstance(model, Attention)
    q, k, v = (array[None] for array in model.layer(model.layers // 2))
    return held_attention(
        name, q, k, v, causal=model.causal, prompt=model.prompt, summarise=model.summarise, shape=model.shape
    )


def dense(layer: LayerAttention, queries: slice) -> Callable[[], NDArray[np.float32]]:
    """Return what computes dense attention of some queries in numpy."""
    q, k, v = layer.q[:, queries], layer.k, layer.v
    scale = np.float32(1 / np.sqrt(q.shape[2]))

    def attend() -> NDArray[np.float32]:
        scores = np.matmul(q, k.transpose(0, 2, 1))
        scores *= scale
        scores -= scores.max(axis=2, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=2, keepdims=True)
        output: NDArray[np.float32] = np.matmul(scores, v)
        return output

    return attend


def attention_ratios(workload: Attention) -> dict[str, float]:
    """Return CPU time relative to dense numpy, of every configuration with a kept plan and as a whole."""
    queries = slice(None) if workload.summarise else slice(workload.prompt, None)
    contenders: dict[str, Callable[[], object]] = {"numpy": dense(workload.layer(0), queries)}
    for name, config in CONFIGS.items():
        contenders[name] = partial(simulate, config, best_plan(config, workload), compare=False)
    config = CONFIGS[PROGRESSIVE]
    contenders["whole"] = lambda: simulate(config, best_plan(config, workload), compare=False)
    seconds = cpu_seconds(contenders, rounds=7 if workload.summarise else 25)
    rival = seconds.pop("numpy")
    return {**{name: spent / rival for name, spent in seconds.items()}, "numpy_seconds": rival}


@numba.njit
def select_all(rows, keep, random, room, kept):  # type: ignore[no-untyped-def]
    cycles = 0
    for row in range(len(rows)):
        cycles += keep_largest(rows[row], rows.shape[1], keep, 16, 3, random, room, kept[row])
    return cycles


@numba.njit
def find_all(rows, keep, random, room):  # type: ignore[no-untyped-def]
    cycles = 0
    for row in range(len(rows)):
        cycles += quick_select(rows[row], rows.shape[1], rows.shape[1] - keep, 16, 3, random, room)[1]
    return cycles


@numba.njit
def sort_all(rows):  # type: ignore[no-untyped-def]
    for row in range(len(rows)):
        np.sort(rows[row])


def selection_ratios(count: int) -> dict[str, float]:
    """Return CPU time of selecting a quarter, with its cycles and which they are, relative to numpy on all lists."""
    rows = np.random.default_rng(count).random((LISTS[count], count), dtype=np.float32)
    keep, random = count // 4, seeded(1)
    room, kept = scratch(count, np.float32), np.empty(rows.shape, np.bool_)
    seconds = cpu_seconds(
        {
            "select": lambda: select_all(rows, keep, random, room, kept),
            "find": lambda: find_all(rows, keep, random, room),
            "partition": lambda: np.partition(rows, count - keep, axis=1),
            "sort": lambda: np.sort(rows, axis=1),
            "sort_kernel": lambda: sort_all(rows),
        },
        rounds=9,
    )
    return {
        "select / partition": seconds["select"] / seconds["partition"],
        "find / partition": seconds["find"] / seconds["partition"],
        "select / sort": seconds["select"] / seconds["sort"],
        "select / sort in a kernel": seconds["select"] / seconds["sort_kernel"],
        "selections_per_second": len(rows) / seconds["select"],
    }


def start_seconds() -> tuple[float, float]:
    """Return the CPU time above imports of a first small run with an empty kernel cache, and with a full one."""
    with TemporaryDirectory() as folder:
        return number_printed(COLD, SEXTANT_CACHE_DIR=folder), number_printed(COLD, SEXTANT_CACHE_DIR=folder)


def main() -> None:
    figures: dict[str, float] = {}
    for what, name in LAYERS.items():
        ratios = attention_ratios(middle_layer(name))
        show(
            f"{what}: kept plan, a quarter of the values, {STATIC} / numpy",
            f"{ratios[STATIC]:.2f}",
            "bar 2.2, goal 1.5",
        )
        show(f"  {PROGRESSIVE} / numpy", f"{ratios[PROGRESSIVE]:.2f}", "bar 2.2, goal 1.5")
        show("  8 bits, all values / numpy", f"{ratios['8 bits, all values']:.2f}")
        show(f"  whole run, {PROGRESSIVE} / numpy", f"{ratios['whole']:.2f}")
        show("  numpy [ms]", f"{ratios['numpy_seconds'] * 1e3:.2f}")
        figures |= {f"{what} {kind}": ratio for kind, ratio in ratios.items()}
    for count in LISTS:
        ratios = selection_ratios(count)
        asked = "bar 7, goal 4" if count < 1024 else "bar 3, goal 2"
        show(f"top-k engine, a quarter of {count} / np.partition", f"{ratios['select / partition']:.2f}", asked)
        show("  value of the rank alone / np.partition", f"{ratios['find / partition']:.2f}")
        show("  / np.sort", f"{ratios['select / sort']:.2f}", "bar 1")
        show("  / np.sort in a kernel", f"{ratios['select / sort in a kernel']:.2f}", "bar 1")
        show("  selections [1/s]", f"{ratios['selections_per_second']:.2g}")
        figures |= {f"top-k {count} {kind}": ratio for kind, ratio in ratios.items()}
    cold, warm = start_seconds()
    show("first run, kernels compiled [CPU s above imports]", f"{cold:.1f}", "bar 8")
    show("first run, kernels loaded [CPU s above imports]", f"{warm:.2f}", "bar 0.3")
    keep("spatten_speed", {**figures, "cold": cold, "warm": warm})


if __name__ == "__main__":
    main()
