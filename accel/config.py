"""Machine configurations: frozen dataclasses whose fields carry their own limits, and the TOML they come from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from workloads.errors import ConfigError

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers ``low..high``."""

    low: int
    high: int

    def accept(self, value: object) -> object:
        """Return the value if it is allowed, raise ValueError otherwise."""
        if type(value) is int and self.low <= value <= self.high:  # nearly always, and ten times faster to tell
            return value
        if isinstance(value, bool) or not isinstance(value, Integral) or not self.low <= int(value) <= self.high:
            raise ValueError
        return int(value)

    def parse(self, text: str) -> object:
        """Read the value from a command line."""
        return int(text)

    def __str__(self) -> str:
        return f"a whole number, {self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Number:
    """Numbers ``low <= x <= high``."""

    low: float
    high: float

    def accept(self, value: object) -> object:
        """Return the value as a float if it is allowed, raise ValueError otherwise."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
            raise ValueError
        if not self.low <= value <= self.high:
            raise ValueError
        return float(value)

    def parse(self, text: str) -> object:
        """Read the value from a command line."""
        return float(text)

    def __str__(self) -> str:
        return f"a number, {self.low:g}..{self.high:g}"


@dataclass(frozen=True, slots=True)
class Share:
    """Numbers ``0 < x <= 1``."""

    def accept(self, value: object) -> object:
        """Return the value as a float if it is allowed, raise ValueError otherwise."""
        if value == 0:
            raise ValueError
        return Number(0, 1).accept(value)

    def parse(self, text: str) -> object:
        """Read the value from a command line."""
        return float(text)

    def __str__(self) -> str:
        return "a number above 0, at most 1"


@dataclass(frozen=True, slots=True)
class Switch:
    """``true`` or ``false``."""

    def accept(self, value: object) -> object:
        """Return the value if it is a truth value, raise ValueError otherwise."""
        if not isinstance(value, bool):
            raise ValueError
        return value

    def parse(self, text: str) -> object:
        """Read the value from a command line."""
        return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}[text.lower()]

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some names."""

    names: tuple[str, ...]

    def accept(self, value: object) -> object:
        """Return the value if it is one of the names, raise ValueError otherwise."""
        if value not in self.names:
            raise ValueError
        return value

    def parse(self, text: str) -> object:
        """Read the value from a command line."""
        return text

    def __str__(self) -> str:
        return "one of " + ", ".join(self.names)


@dataclass(frozen=True, slots=True)
class Order:
    """The first ``taken`` of some letters in an order of one's choice, as loop nests are written: ``KYX``."""

    letters: str
    taken: int

    def accept(self, value: object) -> object:
        """Return the value if it is such letters, raise ValueError otherwise."""
        if not isinstance(value, str) or len(value) != self.taken or len(set(value)) != self.taken:
            raise ValueError
        if not set(value) <= set(self.letters):
            raise ValueError
        return value

    def parse(self, text: str) -> object:
        """Read the value from a command line."""
        return text

    def __str__(self) -> str:
        return f"{self.taken} different letters of {self.letters}"


Limit = Whole | Number | Share | Switch | OneOf | Order


def limited(limit: Limit, default: object = dataclasses.MISSING) -> Any:
    """Declare a configuration field and what it allows; required but for a choice that has a usual answer."""
    return dataclasses.field(default=default, metadata={"limit": limit})


def limits(kind: type) -> Mapping[str, Limit]:
    """Return every field of a configuration and what it allows."""
    if kind not in _LIMITS:
        _LIMITS[kind] = MappingProxyType({field.name: field.metadata["limit"] for field in dataclasses.fields(kind)})
    return _LIMITS[kind]


_LIMITS: dict[type, Mapping[str, Limit]] = {}


def check_fields(config: Any, where: str) -> None:
    """Check every field of a configuration; called by its ``__post_init__``.

    Raises
    ------
    ConfigError
        Naming the first field that is not allowed.
    """
    for name, limit in limits(type(config)).items():
        value = getattr(config, name)
        try:
            accepted = limit.accept(value)
        except ValueError:
            raise ConfigError(where, name, value, str(limit)) from None
        if (
            accepted is not value
        ):  # searches make thousands of configurations a second, of values that are as they should
            object.__setattr__(config, name, accepted)


def content_key(config: Any) -> str:
    """Return a hash of a configuration's fields: equal configurations have equal keys.

    A field at its default is left out: fields that a later release adds have one, and change no key of an earlier one.
    """
    values = dataclasses.asdict(config)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    told = {name: value for name, value in values.items() if value != defaults[name]}
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def configure(base: Config, changes: Mapping[str, object], where: str, *, as_text: bool = False) -> Config:
    """Return a configuration with some fields changed.

    Parameters
    ----------
    base : dataclass
    changes : mapping of str to value
        Values of the fields' types.
    where : str
        What an error names as the place: a file or an option.
    as_text : bool
        Read text as the field's type, because a command line has only text.

    Raises
    ------
    ConfigError
        If a field is unknown or its value not allowed.
    """
    known = limits(type(base))
    parsed: dict[str, object] = {}
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(where, name, value, "one of " + ", ".join(known))
        try:
            parsed[name] = known[name].parse(value) if as_text and isinstance(value, str) else value
        except (ValueError, KeyError):
            raise ConfigError(where, name, value, str(known[name])) from None
    try:
        changed: Config = dataclasses.replace(base, **parsed)  # type: ignore[type-var]
    except ConfigError as error:
        raise error.at(where) from None
    return changed


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not TOML.
    """
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(str(path), "", error.strerror, "a readable TOML file") from error
    except (ValueError, RecursionError) as error:  # not TOML, not text, a number or a nesting beyond reading
        raise ConfigError(str(path), "", f"not TOML ({error})", "a TOML file") from error


def changed_fields(config: Any, base: Any) -> dict[str, object]:
    """Return the fields in which a configuration differs from another of its kind, as a command line takes them."""
    values = {name: (getattr(config, name), getattr(base, name)) for name in limits(type(config))}
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, (value, other) in values.items()
        if value != other
    }
