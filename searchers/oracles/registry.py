"""The oracles by name; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workloads.errors import OracleError

if TYPE_CHECKING:
    from searchers.oracles.accuracy import Oracle


@dataclass(frozen=True, slots=True)
class Entry:
    """An oracle that can be asked for by name.

    Attributes
    ----------
    maker : str
        Module below ``searchers.oracles`` and function in it that returns the oracle.
    description : str
        One line for listings.
    takes_file : str
        What file it takes, empty where it takes none.
    needs_file : bool
        Whether it cannot do without.
    """

    maker: str
    description: str
    takes_file: str = ""
    needs_file: bool = False


ORACLES: Mapping[str, Entry] = {
    "digits": Entry(
        "digits.Digits",
        "top-1 on corrupted digits of the tiny-residual family, fitted to networks trained with their bits",
    ),
    "digits-table": Entry("digits.DigitsTable", "the trained networks themselves, as measured"),
    "characters": Entry(
        "characters.Characters",
        "top-1 of small Transformers under SpAtten's pruning and bits, fitted to networks run so",
    ),
    "language": Entry(
        "language.Language",
        "bits per character of small language models that generate under SpAtten's pruning and bits, fitted likewise",
    ),
    "imagenet": Entry(
        "imagenet.open_imagenet",
        "ImageNet top-1 of the Once-for-All family, predicted; quantized: less what published pairs lost",
        "the weights of the published predictor (.npz of w0, b0 .. w3, b3)",
    ),
    "quantization-drop": Entry(
        "quantization_drop.QuantizationDrop", "points of ImageNet top-1 lost to quantization, from published pairs"
    ),
    "published": Entry("published.imagenet", "ImageNet top-1 of published networks, as printed, by name"),
    "published-bleu": Entry("published.translation", "BLEU of HAT's searched Transformers, as printed, by name"),
    "own-table": Entry("own.TableOracle", "a table of your own results", "a table of results (.csv)", needs_file=True),
    "own-onnx": Entry("own.OnnxOracle", "a predictor of your own", "a predictor (.onnx)", needs_file=True),
}
OWN = "MODULE:FUNCTION"


def find_oracle(name: str, file: Path | None = None) -> Oracle:
    """Return an oracle by name, or a user's own by ``module:function``.

    Parameters
    ----------
    name : str
        One of ``ORACLES``, or a Python callable: its module is imported, so it is trusted as any program is.
    file : Path, optional
        What the oracle is to read: see ``Entry.takes_file``.

    Raises
    ------
    OracleError
        If there is none of that name, or the file is missing or of no use.
    """
    if ":" in name:
        own: Oracle = import_module("searchers.oracles.own").from_callable(name)
        return own
    if name not in ORACLES:
        raise OracleError("oracle", "name", name, "one of " + ", ".join((*ORACLES, OWN)))
    entry = ORACLES[name]
    if file is not None and not entry.takes_file:
        raise OracleError(f"oracle {name}", "file", file, "no file")
    if file is None and entry.needs_file:
        raise OracleError(f"oracle {name}", "file", None, entry.takes_file)
    module, function = entry.maker.split(".")
    make = getattr(import_module(f"searchers.oracles.{module}"), function)
    oracle: Oracle = make() if file is None else make(file)
    return oracle
