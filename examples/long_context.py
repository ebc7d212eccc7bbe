"""One generated token at 4k to 32k of context: what later ways to select keys save, and what they cost.

Run from the repository: python examples/long_context.py [LAYERS]. Attention is generated (see
workloads/attention/synthetic.py), 8 heads of 64 dimensions; SRAMs are as large as the longest context asks for.
"""

import sys
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from accel.spatten import PRESETS, simulate
from mappers.spatten import best_plan
from workloads.attention.models import TransformerShape
from workloads.attention.synthetic import synthetic_attention

METHODS = {
    "all keys, 8 + 4 bits": {"msb_bits": 8, "lsb_bits": 4},
    "SpAtten, half of the values": {"msb_bits": 8, "lsb_bits": 4, "value_keep": 0.5},
    "window (StreamingLLM)": {"selection": "window"},
    "heads (DuoAttention)": {"selection": "heads", "sink_tokens": 256, "recent_tokens": 64},
    "pages (Quest)": {"selection": "pages"},
    "top-p (Twilight)": {"selection": "top_p", "msb_bits": 4, "lsb_bits": 8, "value_bits": 8},
}
CONTEXTS = (4096, 8192, 16384, 32768)


def study(contexts: Iterable[int], layers: int) -> pd.DataFrame:
    """Return bytes, cycles and output error of every method at every context, a layer's on average."""
    model = TransformerShape(
        name="decoder",
        layers=layers,
        heads=8,
        head_dim=64,
        hidden=512,
        feed_forward=2048,
        causal=True,
        key_value_heads=8,
    )
    rows = []
    for context in contexts:
        workload = synthetic_attention(
            model, name=f"{context} tokens", tokens=context, prompt=context - 1, summarise=False, seed=1
        )
        for method, changes in METHODS.items():
            config = replace(PRESETS["paper"], sram_bytes=2**24, **changes)
            report = simulate(config, best_plan(config, workload))
            rows.append(
                {
                    "context": context,
                    "method": method,
                    "KB a layer": report.total_dram_bytes / layers / 1e3,
                    "cycles a layer": report.cycles // layers,
                    "output error": report.quality["output_error"],
                }
            )
            print(f"{context:6d}  {method:30s}{rows[-1]['KB a layer']:10.0f} KB{rows[-1]['cycles a layer']:9d} cycles"
                  f"{rows[-1]['output error']:8.1%} error", flush=True)  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Write long_context.csv."""
    table = study(CONTEXTS, int(sys.argv[1]) if len(sys.argv) > 1 else 4)
    table.to_csv("long_context.csv", index=False, lineterminator="\n")
    print("wrote long_context.csv")


if __name__ == "__main__":
    main()
