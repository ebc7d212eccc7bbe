"""The sections of a study file that say what is searched: network or workload, widths, machine, corners, accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accel import config as fields
from accel.config import Limit, Number, OneOf, Share, Switch, Whole, configure, limits
from searchers.checks import check_keys, check_name, check_whole, section_of
from searchers.machines import MACHINES, AttentionMachine, LayerMachine, Machine
from searchers.oracles.accuracy import FP32, REGIMES, Oracle
from searchers.oracles.registry import find_oracle
from searchers.problems.accuracy import AttentionOracle, NetworkOracle
from searchers.problems.layer_problem import LayerProblem
from searchers.problems.networks import (
    FixedNetworks,
    OnceForAllNetwork,
    ProxylessNetwork,
    PrunedNetwork,
    SearchedNetwork,
    TinyResidualNetwork,
)
from searchers.problems.problem import MEAN, WORST, Problem, SearchedMachine
from searchers.problems.transformers import OPTIONS, HatNetwork, HatSentence
from searchers.problems.workload_problem import GeneratedTransformer, NamedWorkloads, SearchedWorkload, WorkloadProblem
from searchers.space import Choice, Element, Integer, Order, Real
from workloads.errors import StudyError
from workloads.networks import hat, once_for_all, proxyless, tiny_residual

DEFAULT_MACHINE, DEFAULT_PRESET = "bitfusion", "paper"
WIDEST_BITS = 16
LARGEST_BATCH = 4096
KEEP_CHANNELS = Number(0.05, 1.0)
TRANSFORMER = "transformer"
SPATTEN = "spatten"
RANGES: Mapping[type, set[str]] = {
    Whole: {"low", "high", "step"},
    Number: {"low", "high", "log"},
    Share: {"low", "high", "log"},
    Switch: set(),
    OneOf: set(),
}
FAMILIES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    once_for_all.NAME: {
        "image_size": once_for_all.IMAGE_SIZES,
        "depth": once_for_all.DEPTHS,
        "kernel": once_for_all.KERNELS,
        "expansion": once_for_all.EXPANSIONS,
    },
    proxyless.NAME: {"image_size": proxyless.IMAGE_SIZES},
    tiny_residual.NAME: {
        "depth": tiny_residual.DEPTHS,
        "kernel": tiny_residual.KERNELS,
        "expansion": tiny_residual.EXPANSIONS,
        "keep": tiny_residual.KEEPS,
    },
    hat.NAME: OPTIONS,
}
FAMILY_KEYS: Mapping[str, tuple[str, ...]] = {
    once_for_all.NAME: ("batch", "keep", "width"),
    proxyless.NAME: ("batch", "keep"),
    tiny_residual.NAME: ("batch",),
    hat.NAME: ("length",),
}
NO_FAMILY = f"{', '.join(FAMILIES)}, or network.name"


def read_problem(text: Mapping[str, Any], where: str) -> Problem:
    """Make the problem of a study.

    Parameters
    ----------
    text : mapping
        The study file.
    where : str
        Its name, for errors.

    Raises
    ------
    StudyError
        If a key or value is not allowed.
    ConfigError, WorkloadError, OracleError
        If the machine cannot be built, or what is named does not exist.
    """
    network = None
    if "workload" not in text:
        network = read_network(section_of(text, "network", where), where)
    bits_section = section_of(text, "bits", where, optional=True)
    check_keys(bits_section, ("activations", "weights", "per", "ends"), where, "bits.")
    given = [name for name in ("activations", "weights") if name in bits_section]
    if len(given) == 1:
        raise StudyError(where, "bits", ", ".join(given), "both activations and weights, or neither")
    bits = {name: read_element(where, f"bits.{name}", bits_section[name], Whole(1, WIDEST_BITS)) for name in given}
    per, ends = bits_section.get("per", "layer"), bits_section.get("ends")
    check_name(where, "bits.per", per, ("layer", "block"))
    if ends is not None:
        check_whole(where, "bits.ends", ends, 1, WIDEST_BITS)
    searched, over = _read_machine(text, where)
    prunes = _read_pruning(section_of(text, "corners", where, optional=True), over, where)
    oracle, regime = _read_oracle(text, where)
    machine = searched.machine
    if network is not None:
        if not isinstance(machine, LayerMachine):
            raise StudyError(
                where, "network", section_of(text, "network", where), f"[workload]: what {machine.name} runs"
            )
        if oracle and len(network.names) > 1:
            raise StudyError(where, "network.names", ", ".join(network.names), "one network beside [accuracy]")
        if oracle and regime == FP32 and bits:
            raise StudyError(where, "accuracy.regime", regime, "how the widths of [bits] are reached")
        asked = NetworkOracle(oracle, regime, network) if oracle else None
        layers = LayerProblem(network, bits, searched, per_block=per == "block", end_bits=ends, oracle=asked, over=over)
        layers.prunes = prunes
        return layers
    for section in ("network", "bits"):
        if section in text:
            raise StudyError(where, section, text[section], "no such section beside [workload]")
    if isinstance(machine, LayerMachine):
        raise StudyError(where, "workload", text["workload"], f"[network]: what {machine.name} runs")
    workload = _read_workload(text, machine, where)
    attention = None
    if oracle is not None:
        preset = machine.presets[DEFAULT_PRESET]
        if not set(AttentionOracle.SAID) <= set(limits(type(preset))):
            raise StudyError(where, "accuracy.oracle", oracle.name, f"no [accuracy]: {machine.name} prunes nothing")
        attention = AttentionOracle(oracle, regime, preset)
    problem = WorkloadProblem(workload, searched, oracle=attention, over=over)
    problem.prunes = prunes
    return problem


def read_network(section: Mapping[str, object], where: str) -> SearchedNetwork:
    """Make the network of a study.

    Parameters
    ----------
    section : mapping
        A ``family`` with its options and ``batch``, or ``name``, or ``names`` of a set; with any but the tiny family
        ``keep``, shares of channels to choose from.
    where : str
        The study file, for errors.

    Raises
    ------
    StudyError
        If a key or value is not allowed.
    WorkloadError
        If a named network does not exist, or has no channels to prune.
    """
    network = _whole_network(section, where)
    if "keep" not in section or section.get("family") == tiny_residual.NAME:
        return network
    element = read_element(where, "network.keep", section["keep"], KEEP_CHANNELS)
    if not isinstance(element, Choice):
        raise StudyError(where, "network.keep", section["keep"], f"a list of values, each {KEEP_CHANNELS}")
    return PrunedNetwork(network, [float(option) for option in element.options])


def _whole_network(section: Mapping[str, object], where: str) -> SearchedNetwork:
    """Make the network before pruning."""
    for key in ("name", "names"):
        if key in section:
            check_network_keys(section, {key, "keep"}, where)
            names = [section[key]] if key == "name" else section[key]
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                need = "a network by name, or a layer table (.csv)" if key == "name" else "a list of networks"
                raise StudyError(where, f"network.{key}", section[key], need)
            return FixedNetworks(names)
    family = section.get("family")
    if family not in FAMILIES or not isinstance(family, str):
        raise StudyError(where, "network.family", family, NO_FAMILY)
    check_network_keys(section, {"family", *FAMILY_KEYS[family], *FAMILIES[family]}, where)
    options = _family_options(section, family, "network", where)
    if family == hat.NAME:
        return HatNetwork(length=_length(section, "network", where), options=options)
    batch = section.get("batch", 1)
    if type(batch) is not int or not 1 <= batch <= LARGEST_BATCH:
        raise StudyError(where, "network.batch", batch, f"a whole number, 1..{LARGEST_BATCH}")
    if family == proxyless.NAME:
        return ProxylessNetwork(batch=batch, image_sizes=options["image_size"])
    if family == tiny_residual.NAME:
        return TinyResidualNetwork(batch=batch, options=options)
    width = section.get("width", 1.0)
    if isinstance(width, bool) or width not in once_for_all.WIDTHS or not isinstance(width, int | float):
        raise StudyError(where, "network.width", width, "one of " + ", ".join(map(str, once_for_all.WIDTHS)))
    return OnceForAllNetwork(width=float(width), batch=batch, options=options)


def check_network_keys(section: Mapping[str, object], known: set[str], where: str) -> None:
    """Refuse keys that a kind of network does not have."""
    check_keys(section, sorted(known), where, "network.")


def _family_options(section: Mapping[str, object], family: str, name: str, where: str) -> Mapping[str, tuple[Any, ...]]:
    """Return what of a family is to choose from: everything, but where a list is given."""
    return {
        key: _options(where, f"{name}.{key}", section.get(key, allowed), allowed)
        for key, allowed in FAMILIES[family].items()
    }


def _length(section: Mapping[str, object], name: str, where: str) -> int:
    """Return the tokens of a sentence."""
    return check_whole(where, f"{name}.length", section.get("length", hat.LENGTH), 1, hat.LARGEST_LENGTH)


def _options(where: str, field: str, chosen: object, allowed: tuple[Any, ...]) -> tuple[Any, ...]:
    kinds = {type(value) for value in allowed}
    if (
        not isinstance(chosen, list | tuple)
        or not chosen
        or any(type(value) not in kinds or value not in allowed for value in chosen)
    ):
        raise StudyError(where, field, chosen, f"a list of values out of {', '.join(map(str, allowed))}")
    return tuple(chosen)


def _read_machine(text: Mapping[str, Any], where: str) -> tuple[SearchedMachine, str]:
    """Read the machine with its knobs and corners, and how situations are put together."""
    section = dict(section_of(text, "machine", where))
    name = section.pop("name", DEFAULT_MACHINE)
    check_name(where, "machine.name", name, MACHINES)
    machine: Machine = MACHINES[name]
    preset = section.pop("preset", DEFAULT_PRESET)
    check_name(where, "machine.preset", preset, machine.presets)
    fidelity = section.pop("fidelity", machine.fidelities[0])
    check_name(where, "machine.fidelity", fidelity, machine.fidelities)
    base = machine.presets[preset]
    allowed = limits(type(base))
    knobs: dict[str, Element | Order] = {}
    fixed: dict[str, object] = {}
    for field, value in section.items():
        if field not in allowed:
            raise StudyError(where, f"machine.{field}", value, "one of " + ", ".join(("name", "preset", *allowed)))
        if isinstance(value, list | dict):
            knobs[field] = read_knob(where, f"machine.{field}", value, allowed[field])
        else:
            fixed[field] = value
    corners, over = _read_corners(section_of(text, "corners", where, optional=True), allowed, set(knobs), where)
    return SearchedMachine(machine, configure(base, fixed, where), knobs, fidelity, corners), over


def _read_corners(
    section: Mapping[str, Any], allowed: Mapping[str, Limit], chosen: set[str], where: str
) -> tuple[tuple[Mapping[str, object], ...], str]:
    check_keys(section, ("over", "machine", "prune"), where, "corners.")
    over = section.get("over", WORST)
    check_name(where, "corners.over", over, (WORST, MEAN))
    corners = section.get("machine", [{}])
    if not isinstance(corners, list) or not corners or not all(isinstance(corner, dict) for corner in corners):
        raise StudyError(where, "corners.machine", corners, "a list of tables of the machine's fields")
    for corner in corners:
        for field, value in corner.items():
            if field not in allowed or field in chosen:
                need = "a field of the machine that is not searched"
                raise StudyError(where, f"corners.machine.{field}", value, need)
            try:
                allowed[field].accept(value)
            except ValueError:
                raise StudyError(where, f"corners.machine.{field}", value, str(allowed[field])) from None
    return tuple(corners), over


def _read_pruning(section: Mapping[str, Any], over: str, where: str) -> bool:
    """Return whether corners are pruned."""
    prune = section.get("prune", False)
    if not isinstance(prune, bool):
        raise StudyError(where, "corners.prune", prune, "true or false")
    if prune and over != WORST:
        raise StudyError(where, "corners.prune", prune, f'false, or over = "{WORST}": a mean needs all corners')
    return prune


def _read_oracle(text: Mapping[str, Any], where: str) -> tuple[Oracle | None, str]:
    if "accuracy" not in text:
        return None, ""
    section = section_of(text, "accuracy", where)
    check_keys(section, ("oracle", "regime", "file"), where, "accuracy.")
    for key in ("oracle", "file"):
        if not isinstance(section.get(key, ""), str):
            raise StudyError(where, f"accuracy.{key}", section[key], "a name")
    if "oracle" not in section:
        raise StudyError(where, "accuracy.oracle", None, "an oracle by name")
    file = Path(section["file"]) if "file" in section else None
    oracle = find_oracle(section["oracle"], file)
    regime = section.get("regime", oracle.regimes[0])
    check_name(where, "accuracy.regime", regime, REGIMES)
    if regime not in oracle.regimes:
        raise StudyError(where, "accuracy.regime", regime, f"what {oracle.name} knows: {', '.join(oracle.regimes)}")
    return oracle, regime


def _read_workload(text: Mapping[str, Any], machine: Machine, where: str) -> SearchedWorkload:
    """Read what a machine without layers runs."""
    section = dict(section_of(text, "workload", where))
    if section.get("family") == hat.NAME:
        return _read_sentence(section, machine, where)
    if section.get("family") == TRANSFORMER:
        if not isinstance(machine, AttentionMachine):
            raise StudyError(where, "workload.family", TRANSFORMER, f"workload.name: {machine.name} runs no attention")
        sizes = {name: section.get(name) for name in GeneratedTransformer.SIZES}
        check_keys(section, ("family", "seed", *sizes), where, "workload.")
        read = {name: _size(where, f"workload.{name}", size) for name, size in sizes.items()}
        return GeneratedTransformer(read, check_whole(where, "workload.seed", section.get("seed", 1), 0))
    names = [section.pop("name")] if "name" in section else section.pop("names", None)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise StudyError(where, "workload.name", names, f"a workload of {machine.name}, or a list in workload.names")
    options = {key: _size(where, f"workload.{key}", value) for key, value in section.items()}
    searched = {key: value for key, value in options.items() if not isinstance(value, int)}
    for key, value in options.items():
        if isinstance(value, int):
            raise StudyError(where, f"workload.{key}", value, f"a list to choose from, or {names[0]}:{key}={value}")
    workload = NamedWorkloads(machine, names, searched)
    # What cannot be opened is said now, not for every candidate.
    first = {key: value.value(0) for key, value in searched.items()}
    for name in workload.names(first):
        workload.open(name, first)
    return workload


def _read_sentence(section: Mapping[str, object], machine: Machine, where: str) -> HatSentence:
    """Read what SpAtten translates, and the networks to choose from."""
    if machine.name != SPATTEN:
        raise StudyError(where, "workload.family", hat.NAME, f"a machine that runs it: {SPATTEN}")
    check_keys(section, ("family", *FAMILY_KEYS[hat.NAME], *OPTIONS), where, "workload.")
    options = _family_options(section, hat.NAME, "workload", where)
    return HatSentence(length=_length(section, "workload", where), options=options)


def _size(where: str, field: str, value: object) -> int | Element:
    """Read a whole number, or the element it is chosen from."""
    if value is None:
        raise StudyError(where, field, None, "a whole number, or a list to choose from")
    if isinstance(value, list | dict):
        return read_element(where, field, value, Whole(1, 2**20))
    return check_whole(where, field, value, 1, 2**20)


def read_knob(where: str, field: str, value: object, limit: Limit) -> Element | Order:
    """Make a knob of a machine's field: where letters are to be ordered also from a table of order."""
    if not isinstance(limit, fields.Order) or not isinstance(value, dict):
        return read_element(where, field, value, limit)
    letters = value.get("order")
    if (
        not isinstance(letters, str)
        or len(value) > 1
        or not limit.taken <= len(letters) == len(set(letters))
        or not set(letters) <= set(limit.letters)
    ):
        need = (
            f'a list of values, each {limit}, or {{ order = "{limit.letters}" }}, {limit.taken} letters of it or more'
        )
        raise StudyError(where, field, value, need)
    return Order(letters, limit.taken)


def read_element(where: str, field: str, value: object, limit: Limit) -> Element:
    """Make a knob from a list of values or a table of low, high and step or log; every value is checked."""
    need = f"a list of values, or a table of low, high and step or log, each {limit}"
    if value == []:
        raise StudyError(where, field, value, "at least one value")
    if isinstance(value, list):
        checked: list[object] = list(value)
    elif isinstance(value, dict) and {"low", "high"} <= set(value) <= RANGES[type(limit)]:
        checked = [value["low"], value["high"]]
        step = value.get("step", 1)
        if not isinstance(value.get("log", False), bool) or type(step) is not int or step < 1:
            raise StudyError(where, field, value, need)
    else:
        raise StudyError(where, field, value, need)
    for part in checked:
        try:
            limit.accept(part)
        except ValueError:
            raise StudyError(where, field, part, str(limit)) from None
    knob: Element
    if isinstance(value, list):
        knob = Choice(tuple(value))
    elif isinstance(limit, Whole):
        knob = Integer(value["low"], value["high"], value.get("step", 1))
    else:
        knob = Real(value["low"], value["high"], value.get("log", False))
    if knob.places < 0 or (not isinstance(knob, Real) and knob.places == 0):
        raise StudyError(where, field, value, "at least one value")
    return knob
