"""The store keeps every bit of a study, for one writer at a time, and refuses what is not its own."""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchers.outcome import Outcome
from searchers.storage.store import FILE, Point, Store, genomes_of
from workloads.errors import StoreError

FLOATS = st.floats(allow_nan=False)


def point(generation: int, place: int, *genome: float) -> Point:
    return Point(generation, place, genome, Outcome({"seconds": float(place)}))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def refused(folder: Path, key: str = "key") -> str:
    with pytest.raises(StoreError) as caught:
        Store(folder, key)
    assert caught.value.exit_code == 4
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(genome=st.lists(FLOATS, min_size=1, max_size=40), values=st.lists(FLOATS, min_size=1, max_size=40))
def test_floats_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, genome: list[float], values: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    quantities = {f"q{index}": value for index, value in enumerate(values)}
    with Store(folder, "key") as store:
        store.add([Point(0, 0, tuple(genome), Outcome(quantities))])
    with Store(folder, "key") as store:
        (kept,) = store.points()
    assert [bits(gene) for gene in kept.genome] == [bits(gene) for gene in genome]
    assert list(kept.outcome.quantities) == list(quantities)
    assert [bits(value) for value in kept.outcome.quantities.values()] == [bits(value) for value in values]


def test_awkward_floats_come_back_bit_for_bit(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, 2**53 + 1.0, float("inf"), np.nextafter(1.0, 2.0)]
    with Store(tmp_path, "key") as store:
        store.add([Point(0, 0, tuple(map(float, values)), Outcome({"edp": float(values[1])}))])
        (kept,) = store.points()
    assert [bits(gene) for gene in kept.genome] == [bits(value) for value in values]


def test_points_come_back_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    with Store(tmp_path, "key") as store:
        store.add([point(1, 1, 3.0), point(1, 0, 2.0)])
        store.add([point(0, 0, 1.0)])
        assert [(kept.generation, kept.place) for kept in store.points()] == [(0, 0), (1, 0), (1, 1)]
        assert store.generation(1) == [point(1, 0, 2.0), point(1, 1, 3.0)]
        assert store.generation(2) == []
        assert genomes_of(store.points()).tolist() == [[1.0], [2.0], [3.0]]


def test_why_a_candidate_failed_is_kept(tmp_path: Path) -> None:
    failed = Point(0, 0, (1.0,), Outcome({}, "wbuf_bytes = 1 : “too small”, need more\n"))
    with Store(tmp_path, "key") as store:
        store.add([failed])
    with Store(tmp_path, "key") as store:
        assert store.points() == [failed]


def test_points_are_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store(tmp_path, "key") as store:
        store.add([point(0, 0, 1.0)])
        with pytest.raises(StoreError, match="cannot be written") as caught:
            store.add([point(0, 1, 2.0), point(0, 0, 3.0)])  # the second is there already
        assert store.points() == [point(0, 0, 1.0)]
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_a_second_writer_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with Store(tmp_path, "key"):
        message = refused(tmp_path)
    assert message.startswith(f"{tmp_path}: another process is working on this study (process {os.getpid()} on ")
    assert message.endswith(", for 0 s), need it to end first")
    with Store(tmp_path, "key") as store:
        assert store.points() == []


def test_another_study_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path, "key") as store:
        store.add([point(0, 0, 1.0)])
    assert refused(tmp_path, "other").endswith(
        "holds the points of another study, seed or oracle file, need another folder"
    )
    with Store(tmp_path, "key") as store:
        assert len(store.points()) == 1


def test_a_refused_store_lets_go_of_the_folder(tmp_path: Path) -> None:
    with Store(tmp_path, "key"):
        pass
    with pytest.raises(StoreError) as kept:
        Store(tmp_path, "other")
    with Store(tmp_path, "key") as store:
        assert store.points() == []
    assert kept.value.exit_code == 4


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    assert refused(tmp_path).endswith("not a study's database, need another folder")
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\0" * 5000], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    refused(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("kept", [50, 100, 4096, 6000])
def test_a_truncated_database_is_refused(tmp_path: Path, kept: int) -> None:
    with Store(tmp_path, "key") as store:
        store.add([point(0, place, *map(float, range(50))) for place in range(50)])
    whole = (tmp_path / FILE).read_bytes()
    assert len(whole) > 3 * 4096
    (tmp_path / FILE).write_bytes(whole[:kept])
    with pytest.raises(StoreError) as caught, Store(tmp_path, "key") as store:
        store.points()
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "who"), [(0, "no release wrote it"), (3, "a newer release wrote it"), (99, "a newer release wrote it")]
)
def test_another_schema_version_is_refused(tmp_path: Path, version: int, who: str) -> None:
    with Store(tmp_path, "key"):
        pass
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    assert refused(tmp_path).endswith(f"schema version {version} ({who}), need 1..2")


@pytest.mark.parametrize("column", ["genome", "quantities"])
def test_a_damaged_row_is_said_so(tmp_path: Path, column: str) -> None:
    with Store(tmp_path, "key") as store:
        store.add([point(0, 0, 1.0)])
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"UPDATE points SET {column} = '[1.0,'")
    connection.close()
    with Store(tmp_path, "key") as store, pytest.raises(StoreError, match="need an undamaged file"):
        store.points()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert refused(folder).endswith("need a folder that can be written")


def test_a_folder_in_the_place_of_the_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    refused(tmp_path)
