"""SpAtten's studies and what goes around attention: examples, layers of weights, pictures, narrow terminals."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from accel.spatten import PRESETS, roofline, simulate
from mappers.spatten import best_plan
from searchers.machines import Run
from searchers.pictures.attention_figures import draw_alive
from sextant.simulate import _show_layers
from workloads.attention.attention import Attention, held_attention
from workloads.attention.catalog import open_attention
from workloads.errors import ConfigError

HOUSE = Path(__file__).resolve().parents[2]
PAPER = PRESETS["paper"]
PNG = b"\x89PNG"


def run(workload: Attention, **changes: Any) -> Run:
    config = replace(PAPER, **changes)
    plan = best_plan(config, workload)
    return Run(simulate(config, plan), roofline(config), plan.describe, plan)


def drawn(tokens: int = 16, generate: int = 0) -> Attention:
    q, k, v = np.random.default_rng(5).standard_normal((3, 3, 2, tokens, 64)).astype(np.float32)
    return held_attention("drawn", q, k, v, causal=generate > 0, prompt=tokens - generate)


# Layers around attention


def opened(name: str) -> Attention:
    workload = open_attention(name)
    assert isinstance(workload, Attention)
    return workload


@pytest.mark.parametrize(("bits", "cycles"), [(8, 0.59e6), (12, 0.88e6)])
def test_gpt2_medium_waits_for_its_302_million_weights(bits: int, cycles: float) -> None:
    report = run(opened("gpt2-medium:prompt=8,generate=1,summarise=0"), fc_bits=bits).report
    assert report.fidelity == "mixed"
    assert report.dram_bytes["weight_read"] == 24 * (4 * 1024**2 + 2 * 1024 * 4096) * bits // 8
    assert report.cycle_stack["weight_read"] == pytest.approx(cycles, rel=0.01)
    assert report.cycle_stack["weight_read"] > 0.9 * report.cycles, "over 90 % of it is weights"
    assert [layer.name for layer in report.layers[:2]] == ["token 8, layer 0", "token 8, layer 0, FC"]


def test_many_tokens_are_bound_by_the_multipliers() -> None:
    workload = opened("bert-base:length=16")
    report = run(workload, fc_bits=8).report
    macs = 12 * 16 * (4 * 768**2 + 2 * 768 * 3072)
    assert report.counters["fc_multiplies"] == macs
    assert report.cycle_stack["fc"] == macs // 1024
    pruned = run(workload, fc_bits=8, token_keep=0.5, head_keep=0.5).report
    assert pruned.counters["fc_multiplies"] < 0.7 * macs, "what is dropped has no queries, nor a row behind them"


def test_a_trace_does_not_say_how_wide_its_model_is() -> None:
    with pytest.raises(ConfigError, match="fc_bits = 8, need 0: it is not known how wide the model of drawn is"):
        run(drawn(), fc_bits=8)


# Studies


def test_long_contexts(capsys: pytest.CaptureFixture[str]) -> None:
    example = run_path(str(HOUSE / "examples" / "long_context.py"))
    table = example["study"]([512], layers=3).set_index("method")
    assert list(table.index) == list(example["METHODS"])
    assert len(capsys.readouterr().out.splitlines()) == len(table)
    everything = table.loc["all keys, 8 + 4 bits"]
    assert everything["output error"] == table["output error"].min()
    for method in ("heads (DuoAttention)", "top-p (Twilight)"):
        assert table.loc[method, "KB a layer"] < everything["KB a layer"]
    for method in ("window (StreamingLLM)", "pages (Quest)"):  # which leave as few tokens as 512 alone
        assert table.loc[method, "output error"] == everything["output error"]


def test_keep_and_bits(tmp_path: Path) -> None:
    trace = tmp_path / "trace.npz"
    q, k, v = np.random.default_rng(2).standard_normal((3, 2, 2, 10, 16)).astype(np.float32)
    np.savez(trace, q=q, k=k, v=v)
    command = [sys.executable, HOUSE / "examples" / "keep_and_bits.py", trace, tmp_path / "out"]
    ran = subprocess.run(
        command, cwd=HOUSE, env={"PYTHONPATH": str(HOUSE)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    table = pd.read_csv(tmp_path / "out" / "keep_and_bits.csv")
    assert len(table) == 4 * 10 * 2
    assert set(table["bits"]) == {"12", "8+4", "6+4", "4+4"}
    whole = table[table["token_keep"] == 1]
    error = whole.groupby("bits")["output_error"].mean()
    assert error["12"] < error["8+4"] < error["6+4"] < error["4+4"]
    assert (whole["kept_importance"] > 0.999).all()
    assert (tmp_path / "out" / "keep_and_bits.png").read_bytes().startswith(PNG)


# Pictures and tables


@pytest.mark.parametrize("generate", [0, 3])
def test_what_is_alive_is_drawn(generate: int, tmp_path: Path) -> None:
    report = run(drawn(generate=generate), token_keep=0.5, head_keep=0.5).report
    assert draw_alive(report, tmp_path) == [tmp_path / "alive.png"]
    assert (tmp_path / "alive.png").read_bytes().startswith(PNG)
    first = report.layers[0].result
    assert first.importance.sum() == pytest.approx(report.layers[0].counters["rows"] * 4096, rel=0.01)


def test_a_picture_needs_values(tmp_path: Path) -> None:
    report = replace(run(drawn()).report, layers=())
    assert draw_alive(report, tmp_path) == []


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_table_of_layers_fits_its_terminal(width: int) -> None:
    out = io.StringIO()
    _show_layers(Console(file=out, width=width), run(drawn(), token_keep=0.5))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for shown in ("layer 2", "100.0%"):
        assert shown in text
    assert ("no room for: GOPS, energy [mJ]" in text) == (width == 80)
