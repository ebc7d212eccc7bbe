"""Networks a study can search: what there is to choose in them, and the layers of many choices at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from searchers.space import Choice, Condition, Knob, Vector, gene_count
from workloads.errors import WorkloadError
from workloads.layers import (
    DILATION,
    GROUPS,
    IN_C,
    KIND,
    KINDS,
    OUT_C,
    IntArray,
    LayerTable,
)
from workloads.networks import once_for_all, proxyless, tiny_residual
from workloads.networks.inverted_residual import ChainFamily
from workloads.source import open_layers

Places = Mapping[str, IntArray]
Used = npt.NDArray[np.bool_]
SKIP = "skip"
CHANNEL_STEP = 8  # pruned channels are rounded to a multiple of it


class SearchedNetwork(Protocol):
    """A network, several, or a family of them, as a study sees it.

    Attributes
    ----------
    knobs : dict of str to Knob
        What there is to choose, without prefix.
    conditions : dict of str to Condition
        Which of them do not always matter; they refer to knobs by the same names.
    names : tuple of str
        Networks that every choice has, each run by itself: one, or those of a set.
    slots : tuple of str
        Names of all layers any choice can have: what per-layer widths are given for.
    network_of : ndarray of int64, shape (slots,)
        Which of ``names`` a slot belongs to; rising.
    block_of : ndarray of int64, shape (slots,)
        Which block a slot belongs to, -1 outside the blocks.
    slot_condition : Condition or None
        When a slot is used at all.
    largest_macs : tuple of float
        Multiply-accumulates of the largest choice of each network.
    content : str
        Hash of what a file held, empty where a name says it all.
    """

    knobs: dict[str, Knob]
    conditions: dict[str, Condition]
    names: tuple[str, ...]
    slots: tuple[str, ...]
    network_of: IntArray
    block_of: IntArray
    slot_condition: Condition | None
    largest_macs: tuple[float, ...]
    content: str

    def architecture(self, choice: Mapping[str, Any]) -> object:
        """Return the family's description of a choice, values by knob; None where there is no family."""
        ...

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the layers of many choices.

        Parameters
        ----------
        places : mapping of str to ndarray of int64, shape (count, length)
            Of every knob, the places of the chosen options.
        count : int
            Number of choices; there may be no knob.

        Returns
        -------
        rows : ndarray of int64, shape (count, slots, 15)
            As ``LayerTable.values``; not to be written to.
        used : ndarray of bool, shape (count, slots)
        """
        ...


class FixedNetworks:
    """Networks by name or layer table: only their widths are to choose."""

    def __init__(self, names: Sequence[str]) -> None:
        tables = [open_layers(name) for name in names]
        self._rows = np.concatenate([table.values for table in tables])
        # Defaults are left out: a study goes on where it was begun before there was such a column.
        known = self._rows if (self._rows[:, DILATION] > 1).any() else self._rows[:, :DILATION]
        self.content = hashlib.sha256(known.tobytes()).hexdigest()
        self.knobs: dict[str, Knob] = {}
        self.conditions: dict[str, Condition] = {}
        self.names = tuple(table.name for table in tables)
        self.slots = tuple(layer for table in tables for layer in table.layer_names)
        self.network_of = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        blocks = [(network, slot.rpartition(".")[0]) for network, slot in zip(self.network_of, self.slots, strict=True)]
        places = {block: place for place, block in enumerate(dict.fromkeys(block for block in blocks if block[1]))}
        self.block_of = np.array([places.get(block, -1) for block in blocks])
        self.slot_condition: Condition | None = None
        self.largest_macs = tuple(float(table.macs.sum()) for table in tables)

    def architecture(self, choice: Mapping[str, Any]) -> object:
        """Return None: these are of no family."""
        return None

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the networks' layers, the same for every choice."""
        shape = (count, *self._rows.shape)
        return np.broadcast_to(self._rows, shape), np.ones(shape[:2], dtype=bool)


class _BlockFamily:
    """A family whose blocks each have a kernel and an expansion: layers are looked up, none is built.

    The layers of a block depend on the image size, its place, its kernel and its expansion and on nothing else of the
    network. So the networks whose blocks are all alike hold every layer there can be.
    """

    content = ""
    knobs: dict[str, Knob]
    conditions: dict[str, Condition]

    def __init__(self, name: str, slots: tuple[str, ...], block_names: Sequence[str]) -> None:
        self.names: tuple[str, ...] = (name,)
        self.slots = slots
        self.network_of = np.zeros(len(slots), np.int64)
        places = {block: place for place, block in enumerate(block_names)}
        self.block_of = np.array([places.get(slot.rpartition(".")[0], -1) for slot in slots])

    def _tabulate(self, tables: Sequence[LayerTable], shape: tuple[int, ...]) -> None:
        """Keep the layers of the networks whose blocks are alike, in the order of ``shape``'s axes."""
        self._layers = np.stack([table.values for table in tables]).reshape(*shape, len(self.slots), -1)
        self.largest_macs: tuple[float, ...] = (max(float(table.macs.sum()) for table in tables),)

    def _look_up(self, size: IntArray, kernel: IntArray, expansion: IntArray) -> IntArray:
        """Return rows by the places of image size (n, 1) and of each block's kernel and expansion (n, blocks)."""
        # Layers outside the blocks are the same for every kernel and expansion: any block's will do.
        found: IntArray = self._layers[
            size, kernel[:, self.block_of], expansion[:, self.block_of], np.arange(len(self.slots))
        ]
        return found

    def _deep_enough(self, depths: IntArray, most_blocks: int) -> Used:
        """Return which slots networks of given depths per stage (n, stages) use."""
        used: Used = depths[:, np.maximum(self.block_of, 0) // most_blocks] > _within(self.block_of, most_blocks)
        return used


def used_by_depth(blocks: IntArray, most_blocks: int, depths: Sequence[int]) -> Condition:
    """Return when blocks (layers,) are used, each stage having its depth; what is outside the blocks, -1, always is."""
    stages = tuple(int(max(block, 0)) // most_blocks for block in blocks)
    accepted = tuple(frozenset(depth for depth in depths if depth > place) for place in _within(blocks, most_blocks))
    return Condition("depth", stages, accepted)


def _within(blocks: IntArray, most_blocks: int) -> IntArray:
    return np.where(blocks >= 0, blocks % most_blocks, -1)


class OnceForAllNetwork(_BlockFamily):
    """The Once-for-All family: image size, depth per stage, kernel and expansion per block."""

    def __init__(self, *, width: float, batch: int, options: Mapping[str, tuple[int, ...]]) -> None:
        family = once_for_all.OnceForAll(width)
        name = family.name if width == once_for_all.WIDTHS[0] else f"{family.name}:width={width}"
        super().__init__(name, family.slots, once_for_all.BLOCK_NAMES)
        self._depths = np.array(options["depth"])
        blocks = once_for_all.STAGES * once_for_all.MOST_BLOCKS
        self.knobs = {
            "image_size": Choice(options["image_size"]),
            "depth": Vector(Choice(options["depth"]), once_for_all.STAGES),
            "kernel": Vector(Choice(options["kernel"]), blocks),
            "expansion": Vector(Choice(options["expansion"]), blocks),
        }
        used = used_by_depth(np.arange(blocks), once_for_all.MOST_BLOCKS, options["depth"])
        self.conditions = {"kernel": used, "expansion": used}
        self.slot_condition: Condition | None = used_by_depth(self.block_of, once_for_all.MOST_BLOCKS, options["depth"])
        deepest = (once_for_all.DEPTHS[-1],) * once_for_all.STAGES
        sizes, kernels, expansions = (options[name] for name in ("image_size", "kernel", "expansion"))
        alike = [
            once_for_all.Architecture(size, deepest, (kernel,) * blocks, (expansion,) * blocks)
            for size in sizes
            for kernel in kernels
            for expansion in expansions
        ]
        self._tabulate(
            [family.table(architecture, batch=batch) for architecture in alike],
            (len(sizes), len(kernels), len(expansions)),
        )
        # What noise is relative to: the largest network of the whole family.
        self.largest_macs = (float(family.table(family.largest, batch=batch).macs.sum()),)

    def architecture(self, choice: Mapping[str, Any]) -> once_for_all.Architecture:
        """Return the family's description of a choice."""
        return once_for_all.Architecture(choice["image_size"], choice["depth"], choice["kernel"], choice["expansion"])

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the layers of networks of the family."""
        rows = self._look_up(places["image_size"], places["kernel"], places["expansion"])
        return rows, self._deep_enough(self._depths[places["depth"]], once_for_all.MOST_BLOCKS)


class ProxylessNetwork(_BlockFamily):
    """The ProxylessNAS family: for each of 21 blocks a kernel and an expansion, or to skip it; 7^21 networks or so."""

    def __init__(self, *, batch: int, image_sizes: tuple[int, ...]) -> None:
        family: ChainFamily[proxyless.Architecture] = proxyless.ProxylessNAS()
        super().__init__(family.name, proxyless.ProxylessNAS().slots, proxyless.BLOCK_NAMES)
        kinds = [(kernel, expansion) for kernel in proxyless.KERNELS for expansion in proxyless.EXPANSIONS]
        options = (*(f"k{kernel}e{expansion}" for kernel, expansion in kinds), SKIP)
        kept = frozenset(options) - {SKIP}
        self.knobs = {
            "image_size": Choice(image_sizes),
            # The first block of a stage cannot be skipped, so it chooses among the others.
            "first_block": Vector(Choice(options[:-1]), len(proxyless.ALWAYS_KEPT)),
            "block": Vector(Choice(options), proxyless.BLOCKS - len(proxyless.ALWAYS_KEPT)),
        }
        self.conditions = {}
        firsts = sorted(proxyless.ALWAYS_KEPT)
        self._order = np.argsort([*firsts, *(b for b in range(proxyless.BLOCKS) if b not in firsts)])
        skippable = {b: place for place, b in enumerate(b for b in range(proxyless.BLOCKS) if b not in firsts)}
        decided_by = tuple(skippable.get(int(block), 0) for block in self.block_of)
        accepted = tuple(kept if int(block) in skippable else frozenset(options) for block in self.block_of)
        self.slot_condition: Condition | None = Condition("block", decided_by, accepted)
        self._tabulate(
            [
                family.table(proxyless.Architecture(size, (kind,) * proxyless.BLOCKS), batch=batch)
                for size in image_sizes
                for kind in kinds
            ],
            (len(image_sizes), len(proxyless.KERNELS), len(proxyless.EXPANSIONS)),
        )

    def architecture(self, choice: Mapping[str, Any]) -> proxyless.Architecture:
        """Return the family's description of a choice."""
        written = [*choice["first_block"], *choice["block"]]
        blocks = [None if (text := written[place]) == SKIP else (int(text[1]), int(text[3])) for place in self._order]
        return proxyless.Architecture(choice["image_size"], tuple(blocks))

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the layers of networks of the family."""
        chosen = np.concatenate([places["first_block"], places["block"]], axis=1)[:, self._order]
        kept = chosen < len(proxyless.KERNELS) * len(proxyless.EXPANSIONS)
        kind = np.where(kept, chosen, 0)
        kernel, expansion = np.divmod(kind, len(proxyless.EXPANSIONS))
        rows = self._look_up(places["image_size"], kernel, expansion)
        return rows, np.where(self.block_of >= 0, kept[:, self.block_of], True)


class TinyResidualNetwork(_BlockFamily):
    """The tiny residual family, all of which can be trained: depth, kernel, expansion, channels kept."""

    def __init__(self, *, batch: int, options: Mapping[str, tuple[Any, ...]]) -> None:
        family = tiny_residual.TinyResidual()
        deepest = (tiny_residual.DEPTHS[-1],) * tiny_residual.STAGES
        blocks = tiny_residual.BLOCKS
        largest = family.table(family.largest, batch=batch)
        super().__init__(family.name, largest.layer_names, tiny_residual.BLOCK_NAMES)
        self._depths, self._keeps = np.array(options["depth"]), len(options["keep"])
        self.knobs = {
            "depth": Vector(Choice(options["depth"]), tiny_residual.STAGES),
            **{name: Vector(Choice(options[name]), blocks) for name in ("kernel", "expansion", "keep")},
        }
        used = used_by_depth(np.arange(blocks), tiny_residual.MOST_BLOCKS, options["depth"])
        self.conditions = dict.fromkeys(("kernel", "expansion", "keep"), used)
        self.slot_condition: Condition | None = used_by_depth(
            self.block_of, tiny_residual.MOST_BLOCKS, options["depth"]
        )
        self._tabulate(
            [
                family.table(
                    tiny_residual.Architecture(deepest, (kernel,) * blocks, (expansion,) * blocks, (keep,) * blocks),
                    batch=batch,
                )
                for kernel in options["kernel"]
                for expansion in options["expansion"]
                for keep in options["keep"]
            ],
            (1, len(options["kernel"]), len(options["expansion"]) * self._keeps),
        )
        self.largest_macs = (float(largest.macs.sum()),)

    def architecture(self, choice: Mapping[str, Any]) -> tiny_residual.Architecture:
        """Return the family's description of a choice."""
        return tiny_residual.Architecture(choice["depth"], choice["kernel"], choice["expansion"], choice["keep"])

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the layers of networks of the family."""
        one_size = np.zeros((count, 1), np.int64)
        rows = self._look_up(one_size, places["kernel"], places["expansion"] * self._keeps + places["keep"])
        return rows, self._deep_enough(self._depths[places["depth"]], tiny_residual.MOST_BLOCKS)


class PrunedNetwork:
    """A network some of whose channels go: those that only a depthwise layer and its neighbours see.

    These are the channels of every layer of MobileNetV1 but the last, and the middle channels of inverted residuals:
    what AMC (He et al., ECCV 2018) and APQ (Wang et al., CVPR 2020) prune. Whatever is kept of a layer, all layers that
    hold the same channels lose the others too.

    Parameters
    ----------
    network : SearchedNetwork
    keep : sequence of float
        Shares of the channels to choose from, above 0, at most 1; rounded to multiples of 8 channels.

    Raises
    ------
    WorkloadError
        If the network has no depthwise layer.
    """

    def __init__(self, network: SearchedNetwork, keep: Sequence[float]) -> None:
        self._network, self._keep = network, np.array(keep)
        self.names = tuple(f"{name}, pruned" for name in network.names)  # what is known of the whole one is not of it
        self.slots, self.network_of = network.slots, network.network_of
        self.block_of = network.block_of
        self.slot_condition, self.largest_macs = network.slot_condition, network.largest_macs
        self.content = network.content
        rows, _ = network.rows({name: _zeros(knob) for name, knob in network.knobs.items()}, 1)
        self._depthwise = np.flatnonzero(rows[0, :, KIND] == KINDS.index("depthwise"))
        if not self._depthwise.size or self._depthwise[0] == 0:
            raise WorkloadError(network.names[0], "depthwise layers", 0, "at least one to prune channels around")
        self.knobs = network.knobs | {"keep": Vector(Choice(tuple(keep)), len(self._depthwise))}
        self.conditions = dict(network.conditions)
        condition = network.slot_condition
        if condition is not None:
            places = tuple(condition.places[slot] for slot in self._depthwise)
            accepted = tuple(condition.accepted[slot] for slot in self._depthwise)
            self.conditions["keep"] = Condition(condition.knob, places, accepted)
        self._groups = [self._columns(rows[0, :, KIND], int(slot)) for slot in self._depthwise]

    @staticmethod
    def _columns(kinds: IntArray, slot: int) -> list[tuple[int, int]]:
        """Return the (slot, column) pairs that hold the channels of a depthwise layer."""
        held = [(slot - 1, OUT_C), (slot, IN_C), (slot, OUT_C), (slot, GROUPS)]
        reader = slot + 1
        # Squeeze and excite, if there are, read and write them before the projection does.
        while kinds[reader] == KINDS.index("linear") and reader + 1 < len(kinds):
            held.append((reader, IN_C if (reader - slot) % 2 else OUT_C))
            reader += 1
        return [*held, (reader, IN_C)]

    def architecture(self, choice: Mapping[str, Any]) -> object:
        """Return None: no family knows of pruned channels."""
        return None

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the layers of pruned networks."""
        rows, used = self._network.rows(places, count)
        pruned = np.array(rows)
        shares = self._keep[places["keep"]]
        for group, held in enumerate(self._groups):
            channels = rows[:, held[1][0], IN_C]
            kept = np.maximum(CHANNEL_STEP, np.round(channels * shares[:, group] / CHANNEL_STEP) * CHANNEL_STEP)
            for slot, column in held:
                pruned[:, slot, column] = np.minimum(channels, kept.astype(np.int64))
        return pruned, used


def _zeros(knob: Knob) -> IntArray:
    return np.zeros((1, gene_count(knob)), np.int64)
