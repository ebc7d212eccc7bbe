"""Networks against their published shapes, multiply-accumulates and parameter counts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from workloads.catalog import NETWORKS, build_table
from workloads.networks.inverted_residual import divisible_by_8

BENCHMARKS = {
    ("AlexNet", "0"): "alexnet-bitfusion",
    ("AlexNet", "1"): "alexnet-bitfusion-2x",
    ("CIFAR10", "1"): "cifar10-bitfusion",
    ("LSTM", "1"): "lstm-bitfusion",
    ("LeNet-5", "1"): "lenet5-bitfusion",
    ("RESNET-18", "0"): "resnet18-bitfusion",
    ("RESNET-18", "1"): "resnet18-bitfusion-2x",
    ("RNN", "1"): "rnn-bitfusion",
    ("SVHN", "1"): "svhn-bitfusion",
    ("VGG-7", "1"): "vgg7-bitfusion",
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Benchmarks of the BitFusion simulator


@pytest.mark.parametrize(("published", "name"), BENCHMARKS.items(), ids=BENCHMARKS.values())
def test_bitfusion_benchmark(shared_data: Path, published: tuple[str, str], name: str) -> None:
    columns = ("in_h", "in_c", "out_h", "out_c", "kernel", "stride", "im2col", "act_bits", "wgt_bits")
    fields = ("in_h", "in_c", "out_h", "out_c", "kernel_h", "stride", "reads_input", "act_bits", "wgt_bits")
    kinds = {"Convolution": "conv", "MatMul": "linear"}
    expected = []
    for row in rows(shared_data / "bitfusion" / "benchmark_shapes.csv"):
        if (row["network"], row["wrpn"]) == published:
            *_, name_published, kind = row["layer"].split("/")
            expected.append((name_published, kinds[kind], *(int(row[column]) for column in columns)))
    layers = build_table(name).layers()
    assert [(layer.name, layer.kind, *(getattr(layer, field) for field in fields)) for layer in layers] == expected
    assert all(
        (layer.batch, layer.in_h, layer.out_h, layer.kernel_h) == (16, layer.in_w, layer.out_w, layer.kernel_w)
        for layer in layers
    )


# Published networks: exact counts


def counts(name: str) -> tuple[int, int]:
    network = NETWORKS[name].build()
    return network.parameters, network.macs


def test_resnet18() -> None:
    assert counts("resnet18") == (11_689_512, 1_814_073_344)


def test_resnet50() -> None:
    assert counts("resnet50") == (25_557_032, 4_089_184_256)


def test_mobilenet_v1() -> None:
    assert counts("mobilenet_v1") == (4_231_976, 568_740_352)


def test_mobilenet_v2() -> None:
    assert counts("mobilenet_v2") == (3_504_872, 300_774_272)


def test_pruned_mobilenets() -> None:
    # The channels that AMC's authors publish are multiples of 8; the paper says 285 M and 272 M.
    assert counts("mobilenet_v1-0.75") == (2_585_560, 325_400_448)
    assert counts("mobilenet_v1-amc-0.5-flops") == (2_408_232, 293_870_000)
    assert counts("mobilenet_v1-amc-0.5-latency") == (2_279_816, 273_976_912)
    assert counts("mobilenet_v2-amc-0.7-flops") == (2_330_272, 210_620_528)


def test_a_pruned_mobilenet_v2_differs_in_middle_channels_and_at_its_ends() -> None:
    whole, pruned = (build_table(name) for name in ("mobilenet_v2", "mobilenet_v2-amc-0.7-flops"))
    assert pruned.layer_names == whole.layer_names
    for layer, before in zip(pruned.layers(), whole.layers(), strict=True):
        assert layer.out_c <= before.out_c
        if layer.name.endswith("project") and not layer.name.startswith("stage7"):
            assert layer.out_c == before.out_c


def test_mobilenet_v2_layers(shared_data: Path) -> None:
    published = rows(shared_data / "haq" / "layers_qmobilenetv2.csv")
    columns = ("in_c", "out_c", "kernel", "stride", "in_hw", "out_hw", "groups", "macs_per_image")
    layers = build_table("mobilenet_v2").layers()
    assert [
        (
            layer.in_c,
            layer.out_c,
            layer.kernel_h,
            layer.stride,
            layer.in_h,
            layer.out_h,
            layer.groups,
            layer.macs,
        )
        for layer in layers
    ] == [tuple(int(row[column]) for column in columns) for row in published]


def test_channels_are_rounded_as_in_mobilenet() -> None:
    # 19 would fall to 16, more than a tenth below it.
    assert [divisible_by_8(channels) for channels in (1, 11, 12, 19.2, 28.8, 134.4)] == [
        8,
        16,
        16,
        24,
        32,
        136,
    ]
