"""Configurations say what each field allows, whether it comes from code, a command line or a file."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from accel.config import Number, Switch, Whole, check_fields, configure, content_key, limited, limits, read_toml
from workloads.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    rows: int = limited(Whole(1, 64))
    clock_hz: float = limited(Number(1.0, 1e9))
    wide: bool = limited(Switch())

    def __post_init__(self) -> None:
        check_fields(self, "machine")


BASE = Machine(rows=4, clock_hz=100.0, wide=True)
NEEDS = {"rows": "a whole number, 1..64", "clock_hz": "a number, 1..1e+09", "wide": "true or false"}


def test_limits_are_told_by_field() -> None:
    assert {name: str(limit) for name, limit in limits(Machine).items()} == NEEDS


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", 1), ("rows", 64), ("clock_hz", 1.0), ("clock_hz", 1e9), ("clock_hz", 2), ("wide", False)],
)
def test_the_ends_of_a_limit_are_allowed(field: str, value: object) -> None:
    assert getattr(dataclasses.replace(BASE, **{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", 0),
        ("rows", 65),
        ("rows", -1),
        ("rows", 4.0),
        ("rows", True),
        ("rows", "4"),
        ("clock_hz", 0.999),
        ("clock_hz", 1.1e9),
        ("clock_hz", float("nan")),
        ("clock_hz", float("inf")),
        ("clock_hz", True),
        ("clock_hz", "1"),
        ("wide", 1),
        ("wide", "true"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(BASE, **{field: value})
    assert str(caught.value) == f"machine: {field} = {value}, need {NEEDS[field]}"
    with pytest.raises(ConfigError):
        configure(BASE, {field: value if not isinstance(value, str) else "?"}, "hw.toml")


@pytest.mark.parametrize("field", ["rows", "clock_hz", "wide"])
def test_a_missing_value_is_called_missing(field: str) -> None:
    with pytest.raises(ConfigError, match=f"^machine: {field} is missing, need "):
        dataclasses.replace(BASE, **{field: None})


@pytest.mark.parametrize("field", ["rows", "clock_hz"])
def test_a_number_too_large_for_a_float_is_an_ordinary_error(field: str) -> None:
    with pytest.raises(ConfigError, match=rf"^hw\.toml: {field} = 1000"):
        configure(BASE, {field: 10**400}, "hw.toml")


def test_whole_numbers_become_floats_where_a_number_is_meant() -> None:
    machine = Machine(rows=4, clock_hz=100, wide=True)
    assert isinstance(machine.clock_hz, float)
    assert machine == BASE
    assert hash(machine) == hash(BASE)


def test_every_field_is_required_and_fixed() -> None:
    with pytest.raises(TypeError):
        Machine(rows=4, clock_hz=1.0)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        BASE.rows = 5  # type: ignore[misc]


def test_configure_reads_text_as_the_fields_type() -> None:
    changed = configure(BASE, {"rows": "8", "clock_hz": "2e3", "wide": "off"}, "--set", as_text=True)
    assert changed == Machine(rows=8, clock_hz=2000.0, wide=False)
    assert configure(BASE, {}, "--set", as_text=True) == BASE
    assert configure(BASE, {"rows": 8, "clock_hz": 2000, "wide": False}, "hw.toml") == changed


TRUTHS = {"true": True, "TRUE": True, "1": True, "on": True, "false": False, "False": False, "0": False, "off": False}


@pytest.mark.parametrize(("text", "value"), TRUTHS.items())
def test_truth_on_a_command_line(text: str, value: bool) -> None:
    assert configure(BASE, {"wide": text}, "--set", as_text=True).wide is value


@pytest.mark.parametrize(
    ("field", "text"),
    [("rows", "x"), ("rows", ""), ("rows", "4.0"), ("rows", "65"), ("clock_hz", "fast"), ("clock_hz", "nan"),
     ("clock_hz", "1e999"), ("wide", "yes"), ("wide", "")],
)  # fmt: skip
def test_configure_names_the_place_the_value_and_what_is_allowed(field: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(BASE, {field: text}, "--set", as_text=True)
    error = caught.value
    assert (error.where, error.field, error.need) == ("--set", field, NEEDS[field])
    assert str(error).startswith(f"--set: {field} = ")


def test_unknown_field_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        configure(BASE, {"row": 8}, "hw.toml")
    assert str(caught.value) == "hw.toml: row = 8, need one of rows, clock_hz, wide"


def test_content_key_follows_the_content() -> None:
    assert content_key(Machine(rows=4, clock_hz=100, wide=True)) == content_key(BASE)
    others = [{"rows": 5}, {"clock_hz": 100.00000000000001}, {"wide": False}]
    keys = {content_key(dataclasses.replace(BASE, **other)) for other in others}
    assert len(keys | {content_key(BASE)}) == 4
    assert all(len(key) == 64 for key in keys)


def test_toml_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "hw.toml"
    path.write_text('preset = "paper"\n[machine]\nrows = 8\nwide = false\n')
    assert read_toml(path) == {"preset": "paper", "machine": {"rows": 8, "wide": False}}
    assert read_toml(str(path)) == read_toml(path)


@pytest.mark.parametrize(
    ("content", "need"),
    [
        (b"rows = ", "a TOML file"),
        (b"rows = 1\nrows = 2\n", "a TOML file"),
        (b"\xff\xfe\x00", "a TOML file"),
        (b"\0", "a TOML file"),
    ],
)
def test_what_is_not_toml_is_said_to_be(tmp_path: Path, content: bytes, need: str) -> None:
    path = tmp_path / "hw.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: not TOML (")
    assert caught.value.need == need


@pytest.mark.parametrize("content", ["rows = " + "9" * 5000, "rows = " + "[" * 20000], ids=["digits", "nesting"])
def test_toml_beyond_what_python_reads_is_an_ordinary_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "hw.toml"
    path.write_text(content)
    with pytest.raises(ConfigError):
        read_toml(path)


def test_a_number_too_long_to_print_is_an_ordinary_error() -> None:
    with pytest.raises(ConfigError, match=r"^hw\.toml: rows = "):
        configure(BASE, {"rows": 16**6000}, "hw.toml")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ConfigError) as caught:
            read_toml(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert caught.value.need == "a readable TOML file"
