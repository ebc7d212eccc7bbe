"""Networks a study can search: what there is to choose in them, and the layers of a choice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from searchers.space import Candidate, Choice, Condition, Knob, Vector
from workloads.errors import StudyError
from workloads.layers import IntArray, LayerTable
from workloads.networks import once_for_all
from workloads.source import open_layers


class SearchedNetwork(Protocol):
    """A network, or a family of them, as a study sees it.

    Attributes
    ----------
    knobs : dict of str to Knob
        What there is to choose, without prefix.
    conditions : dict of str to Condition
        Which of them do not always matter; they refer to knobs by the same names.
    slots : tuple of str
        Names of all layers any choice can have: what per-layer widths are given for.
    slot_condition : Condition or None
        When a slot is used at all.
    largest_macs : float
        Multiply-accumulates of the largest choice.
    content : str
        Hash of what a file held, empty where a name says it all.
    """

    knobs: dict[str, Knob]
    conditions: dict[str, Condition]
    slots: tuple[str, ...]
    slot_condition: Condition | None
    largest_macs: float
    content: str

    def build(self, candidate: Candidate) -> tuple[LayerTable, IntArray]:
        """Return a choice's layers, and the slot of each."""
        ...


class OnceForAllNetwork:
    """The Once-for-All family: image size, depth per stage, kernel and expansion per block."""

    def __init__(self, *, width: float, batch: int, options: Mapping[str, tuple[int, ...]]) -> None:
        self._family = once_for_all.OnceForAll(width)
        self._batch = batch
        self.content = ""
        blocks = once_for_all.STAGES * once_for_all.MOST_BLOCKS
        self.knobs: dict[str, Knob] = {
            "image_size": Choice(options["image_size"]),
            "depth": Vector(Choice(options["depth"]), once_for_all.STAGES),
            "kernel": Vector(Choice(options["kernel"]), blocks),
            "expansion": Vector(Choice(options["expansion"]), blocks),
        }
        of_block = tuple(
            (block // once_for_all.MOST_BLOCKS, block % once_for_all.MOST_BLOCKS) for block in range(blocks)
        )
        used = self._used_when(of_block, options["depth"])
        self.conditions = {"kernel": used, "expansion": used}
        self.slots = self._family.slots
        self.slot_condition: Condition | None = self._used_when(
            tuple(_block_of(slot) for slot in self.slots), options["depth"]
        )
        self.largest_macs = float(self._family.table(self._family.largest, batch=batch).macs.sum())

    @staticmethod
    def _used_when(stage_and_place: tuple[tuple[int, int], ...], depths: tuple[int, ...]) -> Condition:
        stages = tuple(stage for stage, _ in stage_and_place)
        accepted = tuple(frozenset(depth for depth in depths if depth > place) for _, place in stage_and_place)
        return Condition("depth", stages, accepted)

    def build(self, candidate: Candidate) -> tuple[LayerTable, IntArray]:
        """Return the layers of one network of the family, and the slot of each."""
        architecture = once_for_all.Architecture(
            image_size=candidate["image_size"],  # type: ignore[arg-type]
            depths=candidate["depth"],  # type: ignore[arg-type]
            kernels=candidate["kernel"],  # type: ignore[arg-type]
            expansions=candidate["expansion"],  # type: ignore[arg-type]
        )
        return self._family.table(architecture, batch=self._batch), self._family.active_slots(architecture)


def _block_of(slot: str) -> tuple[int, int]:
    """Return the stage and the place in it of a layer; layers outside the blocks are always used."""
    if not slot.startswith("stage"):
        return 0, -1
    stage, block = slot.split(".")[:2]
    return int(stage.removeprefix("stage")) - 1, int(block.removeprefix("block")) - 1


class FixedNetwork:
    """A network by name or layer table: only its widths are to choose."""

    def __init__(self, name: str) -> None:
        self._table = open_layers(name)
        self.content = hashlib.sha256(self._table.values.tobytes()).hexdigest()
        self.knobs: dict[str, Knob] = {}
        self.conditions: dict[str, Condition] = {}
        self.slots = self._table.layer_names
        self.slot_condition: Condition | None = None
        self.largest_macs = float(self._table.macs.sum())
        self._all = np.arange(len(self._table), dtype=np.int64)

    def build(self, candidate: Candidate) -> tuple[LayerTable, IntArray]:
        """Return the network's layers."""
        return self._table, self._all


LARGEST_BATCH = 4096
FAMILY_OPTIONS: dict[str, tuple[int, ...]] = {
    "image_size": once_for_all.IMAGE_SIZES,
    "depth": once_for_all.DEPTHS,
    "kernel": once_for_all.KERNELS,
    "expansion": once_for_all.EXPANSIONS,
}


def read_network(section: Mapping[str, object], where: str) -> SearchedNetwork:
    """Make the network of a study.

    Parameters
    ----------
    section : mapping
        ``family = "once-for-all"`` with ``width``, ``batch`` and lists of options, or ``name``.
    where : str
        The study file, for errors.

    Raises
    ------
    StudyError
        If a key or value is not allowed.
    WorkloadError
        If a named network does not exist.
    """
    if "name" in section:
        _refuse_unknown(section, {"name"}, where)
        if not isinstance(section["name"], str):
            raise StudyError(where, "network.name", section["name"], "a network by name, or a file of layers")
        return FixedNetwork(section["name"])
    if section.get("family") != once_for_all.NAME:
        raise StudyError(where, "network.family", section.get("family"), f"{once_for_all.NAME}, or network.name")
    _refuse_unknown(section, {"family", "width", "batch", *FAMILY_OPTIONS}, where)
    options = {}
    for key, allowed in FAMILY_OPTIONS.items():
        chosen = section.get(key, allowed)
        need = f"a list of values out of {', '.join(map(str, allowed))}"
        if (
            not isinstance(chosen, list | tuple)
            or not chosen
            or any(type(value) is not int or value not in allowed for value in chosen)
        ):
            raise StudyError(where, f"network.{key}", chosen, need)
        options[key] = tuple(chosen)
    width, batch = section.get("width", 1.0), section.get("batch", 1)
    if isinstance(width, bool) or width not in once_for_all.WIDTHS:
        raise StudyError(where, "network.width", width, "one of " + ", ".join(map(str, once_for_all.WIDTHS)))
    if type(batch) is not int or not 1 <= batch <= LARGEST_BATCH:
        raise StudyError(where, "network.batch", batch, f"a whole number, 1..{LARGEST_BATCH}")
    return OnceForAllNetwork(width=float(width), batch=batch, options=options)


def _refuse_unknown(section: Mapping[str, object], known: set[str], where: str) -> None:
    for key, value in section.items():
        if key not in known:
            raise StudyError(where, f"network.{key}", value, "one of " + ", ".join(sorted(known)))
