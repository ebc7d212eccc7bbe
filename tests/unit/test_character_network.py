"""Transformers that run SpAtten's functional model inside are what the measured table says they are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from searchers.oracles.accuracy import Keep
from searchers.oracles.attention_network import machine
from searchers.oracles.character_network import LENGTH, shipped
from searchers.oracles.characters import Characters
from searchers.oracles.training.rows import finished_rows
from workloads.errors import ConfigError

SHOWN = 100


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with Characters.table().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_of_the_table_is_measured_again(rows: list[dict[str, str]]) -> None:
    networks, windows, labels = shipped()
    row = next(row for row in rows if float(row["token_keep"]) < 1 and float(row["head_keep"]) < 1)
    tokens, heads, values = (float(row[name]) for name in ("token_keep", "head_keep", "value_keep"))
    keep = Keep(tokens, heads, values, int(row["msb_bits"]), int(row["lsb_bits"]))
    seen = networks[int(row["network"])].classes(windows, keep)
    assert int(np.sum(seen == labels)) == int(row["correct"])
    assert len(labels) == int(row["tested"])


def test_with_everything_kept_the_networks_know_the_task() -> None:
    networks, windows, labels = shipped()
    assert windows.shape[1] == LENGTH
    for network in networks:
        assert np.mean(network.classes(windows[:SHOWN], Keep()) == labels[:SHOWN]) > 0.98


def test_what_is_pruned_changes_what_later_layers_see() -> None:
    networks, windows, labels = shipped()
    kept = [np.mean(networks[0].classes(windows[:SHOWN], Keep(share)) == labels[:SHOWN]) for share in (1.0, 0.6, 0.25)]
    assert kept[0] > kept[1] > kept[2] > 1 / 8


def test_policies_that_the_machine_has_not_are_an_error() -> None:
    assert machine(Keep(0.5)).token_keep == 0.5
    with pytest.raises(ConfigError, match="token_keep = 0, need a number above 0"):
        machine(Keep(0))


def test_a_row_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    assert list(finished_rows(path, "a", "b")) == []
    path.write_text("a,b,c\n1,2,3\n1,3,4\n2,", encoding="utf-8")
    assert list(finished_rows(path, "a", "b")) == [(1, 2), (1, 3)]
    assert path.read_text(encoding="utf-8") == "a,b,c\n1,2,3\n1,3,4\n"
