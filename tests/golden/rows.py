"""The authors' result rows as layers."""

from __future__ import annotations

from workloads.layers import Layer

Row = dict[str, str]


def layer_of(row: Row) -> Layer:
    kernel, stride, out, channels = (int(row[name]) for name in ("kernel", "stride", "out_h", "in_c"))
    side = (out - 1) * stride + kernel  # the part of the padded input that the windows see
    return Layer(
        name=row["layer"],
        kind={"conv": "conv", "fc": "linear"}[row["type"]],
        batch=int(row["batch"]),
        in_h=side,
        in_w=side,
        in_c=channels,
        out_h=out,
        out_w=out,
        out_c=int(row["out_c"]),
        kernel_h=kernel,
        kernel_w=kernel,
        stride=stride,
        act_bits=int(row["act_bits"]),
        wgt_bits=int(row["wgt_bits"]),
        reads_input=int(row["im2col"]),
    )
