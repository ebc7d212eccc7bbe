"""Networks by name: what ``resnet18`` or ``once-for-all:image_size=192,batch=4`` stands for.

Builders are imported when one is asked for, so that listing the names is instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workloads.errors import WorkloadError
from workloads.specification import one_of

if TYPE_CHECKING:
    from workloads.layers import LayerTable
    from workloads.network import Network

TABLE_KEYS = ("batch", "act_bits", "wgt_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A network that can be asked for by name.

    Attributes
    ----------
    description : str
        One line for listings.
    builder : str
        Module below ``workloads.networks`` and function in it that returns the network.
    arguments : mapping
        What the function is always called with.
    options : mapping of str to type
        Keywords of the function that a specification may set, int or float.
    batch : int
        Images processed together unless the specification says otherwise.
    """

    description: str
    builder: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, type[int] | type[float]] = field(default_factory=dict)
    batch: int = 1

    def build(self, **options: float) -> Network:
        """Build the network."""
        module, function = self.builder.split(".")
        network: Network = getattr(import_module(f"workloads.networks.{module}"), function)(**self.arguments, **options)
        return network


def _bitfusion(function: str, description: str, **arguments: int) -> Entry:
    return Entry(
        description=f"BitFusion benchmark: {description}",
        builder=f"bitfusion_benchmarks.{function}",
        arguments=arguments,
        batch=16,
    )


_TRANSFORMERS = {
    "bert-base": "BERT-base",
    "bert-large": "BERT-large",
    "gpt2-small": "GPT-2 small",
    "gpt2-medium": "GPT-2 medium",
}


def _mobilenet_v1(variant: str, description: str) -> Entry:
    return Entry(
        description=f"MobileNetV1 {description}", builder="mobilenet.mobilenet_v1", arguments={"variant": variant}
    )


def _proxyless(name: str, description: str) -> Entry:
    return Entry(
        description=f"found by ProxylessNAS for {description}", builder="proxyless.published", arguments={"name": name}
    )


NETWORKS: Mapping[str, Entry] = {
    "alexnet-bitfusion": _bitfusion("alexnet", "AlexNet, regular width", width=1),
    "alexnet-bitfusion-2x": _bitfusion("alexnet", "AlexNet, twice as wide", width=2),
    "cifar10-bitfusion": _bitfusion("cifar10", "2-bit network for CIFAR-10"),
    "lstm-bitfusion": _bitfusion("lstm", "one step of an LSTM"),
    "lenet5-bitfusion": _bitfusion("lenet5", "2-bit LeNet-5"),
    "resnet18-bitfusion": _bitfusion("resnet18", "ResNet-18 of 17 layers, regular width", width=1),
    "resnet18-bitfusion-2x": _bitfusion("resnet18", "ResNet-18 of 17 layers, twice as wide", width=2),
    "rnn-bitfusion": _bitfusion("rnn", "one step of an RNN"),
    "svhn-bitfusion": _bitfusion("svhn", "binary network for SVHN"),
    "vgg7-bitfusion": _bitfusion("vgg7", "2-bit VGG-7 for CIFAR-10"),
    "resnet18": Entry(description="ResNet-18 for ImageNet, 1.81 G MACs", builder="resnet.resnet18"),
    "resnet50": Entry(description="ResNet-50 for ImageNet, 4.09 G MACs", builder="resnet.resnet50"),
    "mobilenet_v1": Entry(description="MobileNetV1 1.0 at 224, 569 M MACs", builder="mobilenet.mobilenet_v1"),
    "mobilenet_v1-0.75": _mobilenet_v1("0.75", "of three quarters of the width, 325 M MACs"),
    "mobilenet_v1-amc-0.5-flops": _mobilenet_v1("amc-0.5-flops", "pruned by AMC to half of its MACs, 294 M MACs"),
    "mobilenet_v1-amc-0.5-latency": _mobilenet_v1("amc-0.5-latency", "pruned by AMC to half of its time, 274 M MACs"),
    "mobilenet_v2": Entry(description="MobileNetV2 1.0 at 224, 301 M MACs", builder="mobilenet.mobilenet_v2"),
    "mobilenet_v2-amc-0.7-flops": Entry(
        description="MobileNetV2 pruned by AMC to 70 % of its MACs, 211 M MACs", builder="mobilenet.mobilenet_v2_amc"
    ),
    "proxylessnas": Entry(
        description="ProxylessNAS family with all blocks alike; the largest unless told otherwise",
        builder="proxyless.uniform",
        options={"image_size": int, "kernel": int, "expansion": int},
    ),
    "proxylessnas-mobile": _proxyless("proxylessnas-mobile", "a telephone, 320 M MACs"),
    "proxylessnas-mobile-1.4": _proxyless("proxylessnas-mobile-1.4", "a telephone, 1.4 times as wide, 581 M MACs"),
    "proxylessnas-cpu": _proxyless("proxylessnas-cpu", "a CPU, 439 M MACs"),
    "proxylessnas-gpu": _proxyless("proxylessnas-gpu", "a GPU, 465 M MACs"),
    "once-for-all": Entry(
        description="Once-for-All family with all blocks alike; the largest unless told otherwise",
        builder="once_for_all.uniform",
        options={"image_size": int, "width": float, "depth": int, "kernel": int, "expansion": int},
    ),
    "hat": Entry(
        description="HAT's Transformers translating one sentence, all layers alike; length=30",
        builder="hat.uniform",
        options=dict.fromkeys(
            (
                "length",
                "encoder_embedding",
                "decoder_embedding",
                "decoder_layers",
                "feed_forward",
                "heads",
                "attended",
            ),
            int,
        ),
    ),
    "tiny-residual": Entry(
        description="inverted residuals for 8 x 8 digits, really trained; all blocks alike, the largest unless told",
        builder="tiny_residual.uniform",
        options={"depth": int, "kernel": int, "expansion": int, "keep": float},
    ),
    **{
        name: Entry(
            description=f"{title}'s blocks as linear and matmul layers, one sequence of length=384",
            builder="transformer.published",
            arguments={"name": name},
            options={"length": int},
        )
        for name, title in _TRANSFORMERS.items()
    },
}


def names() -> tuple[str, ...]:
    """Return the names that ``build_table`` knows."""
    return tuple(NETWORKS)


def build_table(spec: str) -> LayerTable:
    """Build the layer table of a network.

    Parameters
    ----------
    spec : str
        ``name`` or ``name:key=value,key=value``. Every network takes ``batch``, ``act_bits`` and ``wgt_bits``
        [bits, all layers]; the families also take the options of their entry in ``NETWORKS``.

    Raises
    ------
    WorkloadError
        If the name, a key or a value is not known.
    """
    name, _, rest = spec.partition(":")
    if name not in NETWORKS:
        raise WorkloadError("network", "name", name, one_of(name, NETWORKS))
    entry = NETWORKS[name]
    kinds = {**dict.fromkeys(TABLE_KEYS, int), **entry.options}
    values: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, text = pair.partition("=")
        if not equals:
            raise WorkloadError(f"network {name}", "", pair, "key=value")
        if key not in kinds:
            raise WorkloadError(f"network {name}", "key", key, one_of(key, kinds))
        try:
            values[key] = kinds[key](text)
        except ValueError:
            need = "a whole number" if kinds[key] is int else "a number"
            raise WorkloadError(f"network {name}", key, text, need) from None
    lowering = {key: values.pop(key) for key in TABLE_KEYS if key in values}
    return entry.build(**values).table(**{"batch": entry.batch, **lowering})
