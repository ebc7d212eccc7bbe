"""HAT's family of Transformers as studies see it: for machines that run layers, and for SpAtten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from searchers.problems.networks import Places, Used
from searchers.space import Choice, Condition, Knob, Vector
from workloads.errors import OutputError
from workloads.layers import IntArray
from workloads.networks import hat

CHOSEN_TRANSFORMER = "chosen_transformer.json"
OPTIONS: Mapping[str, tuple[int, ...]] = {
    "encoder_embedding": hat.EMBEDDINGS,
    "decoder_embedding": hat.EMBEDDINGS,
    "decoder_layers": hat.DECODER_LAYERS,
    "feed_forward": hat.FEED_FORWARDS,
    "heads": hat.HEADS,
    "attended": hat.ATTENDED,
}
"""What there is to choose from, in encoder and decoder alike."""


def hat_knobs(options: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Knob], dict[str, Condition]]:
    """Return what there is to choose in the family, and when it matters.

    Parameters
    ----------
    options : mapping of str to tuple of int
        Values by the names of ``OPTIONS``.
    """

    def encoder(name: str) -> Vector:
        return Vector(Choice(options[name]), hat.ENCODER_LAYERS)

    def decoder(name: str) -> Vector:
        return Vector(Choice(options[name]), hat.MOST_DECODER_LAYERS)

    knobs: dict[str, Knob] = {
        "encoder_embedding": Choice(options["encoder_embedding"]),
        "decoder_embedding": Choice(options["decoder_embedding"]),
        "decoder_layers": Choice(options["decoder_layers"]),
        "encoder_feed_forward": encoder("feed_forward"),
        "encoder_heads": encoder("heads"),
        "decoder_feed_forward": decoder("feed_forward"),
        "decoder_heads": decoder("heads"),
        "cross_heads": decoder("heads"),
        "attended": decoder("attended"),
    }
    used = used_by_layers(range(hat.MOST_DECODER_LAYERS), options["decoder_layers"])
    return knobs, dict.fromkeys(("decoder_feed_forward", "decoder_heads", "cross_heads", "attended"), used)


def used_by_layers(places: range | IntArray, depths: tuple[int, ...]) -> Condition:
    """Return when decoder layers, by place (n,), are used; those before the decoder, below 0, always are."""
    accepted = tuple(frozenset(depth for depth in depths if depth > place) for place in places)
    return Condition("decoder_layers", (0,) * len(accepted), accepted)


def architecture_of(choice: Mapping[str, Any]) -> hat.Architecture:
    """Return the architecture of a choice, values by knob; decoder layers that are not used are left out."""
    layers = choice["decoder_layers"]
    return hat.Architecture(
        encoder_embedding=choice["encoder_embedding"],
        decoder_embedding=choice["decoder_embedding"],
        encoder_feed_forward=choice["encoder_feed_forward"],
        encoder_heads=choice["encoder_heads"],
        **{
            name: choice[name][:layers] for name in ("decoder_feed_forward", "decoder_heads", "cross_heads", "attended")
        },
    )


class HatNetwork:
    """The family as layers.

    Parameters
    ----------
    length : int
        Tokens of the sentence.
    options : mapping of str to tuple of int
        Values by the names of ``OPTIONS``.
    """

    content = ""

    def __init__(self, *, length: int, options: Mapping[str, tuple[int, ...]]) -> None:
        self.knobs, self.conditions = hat_knobs(options)
        self.names: tuple[str, ...] = (hat.NAME,)
        largest = hat.uniform(
            encoder_embedding=max(hat.EMBEDDINGS), decoder_embedding=max(hat.EMBEDDINGS),
            attended=max(hat.ATTENDED), length=length,
        ).table()  # fmt: skip
        self.slots = largest.layer_names
        self.largest_macs: tuple[float, ...] = (float(largest.macs.sum()),)
        self.network_of = np.zeros(len(self.slots), np.int64)
        blocks, parts = zip(*(slot.split(".") for slot in self.slots), strict=True)
        places = {block: place for place, block in enumerate(dict.fromkeys(blocks))}
        self.block_of = np.array([places[block] for block in blocks])
        self._depths = np.array(options["decoder_layers"])
        self.slot_condition: Condition | None = used_by_layers(
            self.block_of - hat.ENCODER_LAYERS, options["decoder_layers"]
        )
        self._inner = np.array([part in ("up", "down") for part in parts])
        self._cross = np.array([part.startswith("cross") for part in parts])
        self._tabulate(length, options)

    def _tabulate(self, length: int, options: Mapping[str, tuple[int, ...]]) -> None:
        """Keep the layers of networks whose layers are alike, by embeddings and by a place in a list.

        A layer hangs on the embeddings and either on the feed-forward width, or on heads and layers attended: one list
        goes through both.
        """
        inner, attention = options["feed_forward"], [(h, a) for h in options["heads"] for a in options["attended"]]
        alike = [
            hat.alike(encoder, decoder, 1, inner[place % len(inner)], *attention[place % len(attention)])
            for encoder in options["encoder_embedding"]
            for decoder in options["decoder_embedding"]
            for place in range(max(len(inner), len(attention)))
        ]
        tables = [hat.build(architecture, length=length).table().values for architecture in alike]
        before = int((self.block_of < hat.ENCODER_LAYERS).sum())  # rows of the encoder; the others are one layer's
        tables = [
            np.concatenate([rows[:before], np.tile(rows[before:], (hat.MOST_DECODER_LAYERS, 1))]) for rows in tables
        ]
        shape = (len(options["encoder_embedding"]), len(options["decoder_embedding"]), -1, *tables[0].shape)
        self._layers = np.stack(tables).reshape(shape)
        self._per_head = len(options["attended"])

    def architecture(self, choice: Mapping[str, Any]) -> hat.Architecture:
        """Return the family's description of a choice."""
        return architecture_of(choice)

    def rows(self, places: Places, count: int) -> tuple[IntArray, Used]:
        """Return the layers of networks of the family."""
        inner, heads = (
            np.concatenate([places[f"encoder_{name}"], places[f"decoder_{name}"]], axis=1)
            for name in ("feed_forward", "heads")
        )
        # Encoder layers attend to nothing else: their places here are not looked at.
        cross = np.tile(places["cross_heads"] * self._per_head + places["attended"], 2)
        listed = np.where(self._cross, cross[:, self.block_of], heads[:, self.block_of] * self._per_head)
        listed = np.where(self._inner, inner[:, self.block_of], listed)
        rows: IntArray = self._layers[
            places["encoder_embedding"], places["decoder_embedding"], listed, np.arange(len(self.slots))
        ]
        used: Used = self._depths[places["decoder_layers"]] > self.block_of - hat.ENCODER_LAYERS
        return rows, used


class HatSentence:
    """The family as SpAtten takes it: a sentence and the network that translates it.

    Parameters
    ----------
    length : int
        Tokens of the sentence.
    options : mapping of str to tuple of int
        Values by the names of ``OPTIONS``.
    """

    content = ""
    titles: tuple[str, ...] = (hat.NAME,)
    has_values = False  # of attention: nothing is compared with what is exact

    def __init__(self, *, length: int, options: Mapping[str, tuple[int, ...]]) -> None:
        self._length = length
        self.knobs, self.conditions = hat_knobs(options)

    def names(self, choice: Mapping[str, Any]) -> tuple[str, ...]:
        """Return a name that tells the architecture."""
        return (f"{hat.NAME}:{architecture_of(choice)}",)

    def open(self, name: str, choice: Mapping[str, Any]) -> hat.Translation:
        """Return the sentence with the chosen network."""
        return hat.Translation(hat.NAME, architecture_of(choice), self._length)

    def export(self, choice: Mapping[str, Any], folder: Path) -> str:
        """Write the architecture; return the file with the length of the sentence."""
        path = folder / CHOSEN_TRANSFORMER
        try:
            path.write_text(hat.to_json(architecture_of(choice)), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error
        return f"{path}:length={self._length}"
