"""Networks by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workloads.catalog import NETWORKS, build_table, names
from workloads.errors import WorkloadError
from workloads.layers import ACT_BITS, BATCH, WGT_BITS


@pytest.mark.parametrize("name", names())
def test_every_name_builds_a_table_of_that_name(name: str) -> None:
    table = build_table(name)
    assert table.name == name
    assert set(table.values[:, BATCH].tolist()) == {16 if "bitfusion" in name else 1}
    assert len(set(table.layer_names)) == len(table)
    assert NETWORKS[name].description
    assert "\n" not in NETWORKS[name].description


def test_names() -> None:
    assert names() == (
        "alexnet-bitfusion", "alexnet-bitfusion-2x", "cifar10-bitfusion", "lstm-bitfusion",
        "lenet5-bitfusion", "resnet18-bitfusion", "resnet18-bitfusion-2x", "rnn-bitfusion",
        "svhn-bitfusion", "vgg7-bitfusion", "resnet18", "resnet50",
        "mobilenet_v1", "mobilenet_v1-0.75", "mobilenet_v1-amc-0.5-flops", "mobilenet_v1-amc-0.5-latency",
        "mobilenet_v2", "mobilenet_v2-amc-0.7-flops", "proxylessnas", "proxylessnas-mobile", "proxylessnas-mobile-1.4",
        "proxylessnas-cpu", "proxylessnas-gpu", "once-for-all", "hat", "tiny-residual",
        "bert-base", "bert-large", "gpt2-small", "gpt2-medium",
    )  # fmt: skip


def test_listing_imports_no_builder() -> None:
    script = (
        "import sys, workloads.catalog as c; c.names(); "
        "print([m for m in ('numpy', 'networkx', 'workloads.network') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_keys_of_every_network() -> None:
    table = build_table("resnet18:batch=4,act_bits=6,wgt_bits=3")
    assert (table.values[:, [BATCH, ACT_BITS, WGT_BITS]] == [4, 6, 3]).all()


def test_benchmarks_keep_what_is_not_set() -> None:
    table = build_table("svhn-bitfusion:batch=1")
    assert set(table.values[:, BATCH].tolist()) == {1}
    assert table.values[0, [ACT_BITS, WGT_BITS]].tolist() == [8, 1]


def test_options_of_a_family() -> None:
    table = build_table("once-for-all:image_size=160,width=1.2,depth=2,kernel=3,expansion=4,batch=2")
    first, last = table.layer(0), table.layer(len(table) - 1)
    assert (first.batch, first.in_h, first.out_c) == (2, 160, 24)
    assert last.in_c == 1536
    assert "stage1.block3.expand" not in table.layer_names
    assert build_table("proxylessnas:image_size=128,kernel=3,expansion=3").layer(0).in_h == 128


def test_the_default_of_a_family_is_its_largest_network() -> None:
    for name in ("proxylessnas", "once-for-all"):
        assert build_table(name).macs.sum() > build_table(f"{name}:image_size=220").macs.sum()
        assert build_table(name).macs.sum() > build_table(f"{name}:kernel=5").macs.sum()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "resnet-18",
            "network: name = resnet-18, need one of resnet18, resnet50, ",
        ),
        ("resnet18:bach=4", "network resnet18: key = bach, need one of batch, act_bits, wgt_bits"),
        (
            "resnet18:image_size=160",
            "network resnet18: key = image_size, need one of batch, act_bits, wgt_bits",
        ),
        (
            "proxylessnas:depth=2",
            "network proxylessnas: key = depth, need one of batch, act_bits, wgt_bits, image_size, kernel, expansion",
        ),
        ("resnet18:batch", "network resnet18: batch, need key=value"),
        ("resnet18:batch=4,", "network resnet18: , need key=value"),
        ("resnet18:batch=four", "network resnet18: batch = four, need a whole number"),
        ("resnet18:batch=", "network resnet18: batch = , need a whole number"),
        ("once-for-all:width=wide", "network once-for-all: width = wide, need a number"),
        ("once-for-all:width=1.1", "once-for-all: width = 1.1, need one of 1.0, 1.2"),
        (
            "once-for-all:image_size=130",
            "once-for-all architecture: image_size = 130, need 128..224 in steps of 4",
        ),
        ("resnet18:batch=0", "resnet18: batch = 0, need 1..1048576"),
        ("resnet18:wgt_bits=33", "resnet18: wgt_bits = 33, need 1..32"),
    ],
)
def test_an_unknown_name_key_or_value(spec: str, message: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        build_table(spec)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(message) if message.endswith(" ") else said == message
