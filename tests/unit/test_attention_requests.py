"""Tables of requests: what is read, and what is said of a table that cannot be."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from workloads.attention.requests import COLUMNS, read_requests
from workloads.errors import WorkloadError

HEADER = (
    "iteration_id,layer_id,head_id,embedding_length_D,sentence_length_L,key_fetch_num,quant_key_bit,quant_query_bit,"
    "auto_requant_thres,if_requant,auto_requant_incre,value_fetch_num,quant_value_bit,topk"
)
FIRST = "0,0,0,64.0,993,921,6,16,0.05,True,4,204,6,-1"
SECOND = "0,0,1,64.0,993,921,6,16,0.05,False,4,204,6,-1"
NOTE = "configs/some_run.yml,,,,,,,,,,,,,"


def table(folder: Path, *lines: str) -> Path:
    path = folder / "r.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WorkloadError) as caught:
        read_requests(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


def changed(**cells: str) -> str:
    """Return the second row with other cells, by their published names."""
    row = dict(zip(HEADER.split(","), SECOND.split(","), strict=True))
    return ",".join({**row, **cells}.values())


def test_columns_are_what_the_table_says(tmp_path: Path) -> None:
    requests = read_requests(table(tmp_path, HEADER, FIRST, "", changed(layer_id="1", quant_value_bit="-1"), NOTE))
    assert requests.name == "r"
    assert len(requests) == 2
    found = {name: getattr(requests, name).tolist() for name in COLUMNS}
    assert found == {
        "iteration": [0, 0],
        "layer": [0, 1],
        "head": [0, 1],
        "head_dim": [64, 64],
        "length": [993, 993],
        "keys": [921, 921],
        "key_bits": [6, 6],
        "requantised": [True, False],
        "requant_bits": [4, 4],
        "values": [204, 204],
        "value_bits": [6, 0],
    }
    types = {getattr(requests, name).dtype.name for name in COLUMNS if name != "requantised"}
    assert (types, requests.requantised.dtype) == ({"int64"}, np.bool_)


def test_columns_in_another_order_with_others_among_them(tmp_path: Path) -> None:
    names, cells = ["extra", *HEADER.split(",")[::-1]], ["?", *FIRST.split(",")[::-1]]
    path = table(tmp_path, "\ufeff" + ", ".join(names), ", ".join(cells))
    assert read_requests(path).keys.tolist() == [921]


@pytest.mark.parametrize(("text", "flag"), [("True", True), ("false", False), ("1", True), ("0", False)])
def test_flags(tmp_path: Path, text: str, flag: bool) -> None:
    assert read_requests(table(tmp_path, HEADER, changed(if_requant=text))).requantised.tolist() == [flag]


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "r.csv.gz"
    whole = gzip.compress("\n".join([HEADER, *[FIRST, SECOND] * 500]).encode())
    path.write_bytes(whole)
    assert (len(read_requests(path)), read_requests(str(path)).name) == (1000, "r")
    path.write_bytes(whole[:-20])
    assert refusal(path).startswith("r.csv.gz: a damaged file (Compressed file ended before")
    path.write_bytes(whole[:12] + bytes(12) + whole[24:])
    assert refusal(path).startswith("r.csv.gz: a damaged file (")
    path.write_text(HEADER, encoding="utf-8")
    assert refusal(path).startswith("r.csv.gz: a damaged file (Not a gzipped file")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"key_fetch_num": "994"}, "key_fetch_num = 994, need at most the 993 tokens there are"),
        ({"key_fetch_num": "0"}, "key_fetch_num = 0, need a whole number, 1..1048576"),
        ({"value_fetch_num": "922"}, "value_fetch_num = 922, need at most the 921 keys that are fetched"),
        ({"value_fetch_num": "-3"}, "value_fetch_num = -3, need a whole number, 1..1048576"),
        ({"sentence_length_L": "0"}, "sentence_length_L = 0, need a whole number, 1..1048576"),
        ({"embedding_length_D": "0"}, "embedding_length_D = 0, need a whole number, 1..512"),
        ({"embedding_length_D": "64.5"}, "embedding_length_D = 64.5, need a whole number, 1..512"),
        ({"embedding_length_D": "nan"}, "embedding_length_D = nan, need a whole number, 1..512"),
        ({"iteration_id": "-1"}, "iteration_id = -1, need a whole number, 0..2147483647"),
        ({"layer_id": "1e3"}, "layer_id = 1e3, need a whole number, 0..2147483647"),
        ({"head_id": "x"}, "head_id = x, need a whole number, 0..2147483647"),
        ({"head_id": ""}, "head_id = nothing, need a whole number, 0..2147483647"),
        ({"head_id": "9" * 30}, f"head_id = {'9' * 30}, need a whole number, 0..2147483647"),
        ({"quant_key_bit": "5"}, "quant_key_bit = 5, need one of 4, 6, 8, 10, 12, or -1 where unset"),
        ({"quant_key_bit": "16"}, "quant_key_bit = 16, need one of 4, 6, 8, 10, 12, or -1 where unset"),
        ({"quant_value_bit": "-2"}, "quant_value_bit = -2, need one of 4, 6, 8, 10, 12, or -1 where unset"),
        ({"auto_requant_incre": "3"}, "auto_requant_incre = 3, need one of 2, 4, 6, 8, or -1 where unset"),
        ({"if_requant": "maybe"}, "if_requant = maybe, need True, False, 1 or 0"),
        (
            {"if_requant": "True", "auto_requant_incre": "-1"},
            "auto_requant_incre = 0, need one of 2, 4, 6, 8 in a row that is requantised",
        ),
    ],
)
def test_rows_that_cannot_be(tmp_path: Path, cells: dict[str, str], said: str) -> None:
    assert refusal(table(tmp_path, HEADER, FIRST, "", changed(**cells))) == f"r.csv, line 4: {said}"


def test_a_row_that_is_cut_off(tmp_path: Path) -> None:
    assert refusal(table(tmp_path, HEADER, FIRST, "0,0,1")) == "r.csv, line 3: a row of 3 cells, need at least 13"


def test_requests_of_a_layer_stand_together(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER, FIRST, changed(layer_id="1"), changed(layer_id="0"))
    need = "need the requests of a layer together, iteration by iteration"
    assert refusal(path) == f"r.csv, line 4: layer 0 of iteration 0 again, {need}"
    path = table(tmp_path, HEADER, changed(iteration_id="1"), changed(), changed(iteration_id="1"))
    assert refusal(path) == f"r.csv, line 4: layer 0 of iteration 1 again, {need}"


@pytest.mark.parametrize("column", sorted(column.published for column in COLUMNS.values()))
def test_a_column_that_is_missing_or_there_twice(tmp_path: Path, column: str) -> None:
    without = HEADER.replace(column, "other")
    assert refusal(table(tmp_path, without, FIRST)).startswith(
        f"r.csv, line 1: column {column} is missing, need the published columns, iteration_id, layer_id,"
    )
    message = f"r.csv, line 1: column = {column}, need each column once"
    assert refusal(table(tmp_path, f"{HEADER},{column}", FIRST)) == message


def test_tables_without_requests(tmp_path: Path) -> None:
    said = "r.csv: a table without requests, need at least one"
    assert refusal(table(tmp_path, HEADER)) == said
    assert refusal(table(tmp_path, HEADER, "", NOTE)) == said
    assert refusal(table(tmp_path, "")).startswith("r.csv, line 1: column iteration_id is missing")
    path = tmp_path / "empty.csv"
    path.write_bytes(b"")
    assert refusal(path).startswith("empty.csv, line 1: column iteration_id is missing")


def test_files_that_are_no_table(tmp_path: Path) -> None:
    need = "need a table of requests, .csv or .csv.gz"
    assert refusal(tmp_path / "r.csv") == f"r.csv: No such file or directory, {need}"
    assert refusal(tmp_path / "r.txt") == f"r.txt: a file of kind .txt, {need}"
    (tmp_path / "d.csv").mkdir()
    assert refusal(tmp_path / "d.csv") == f"d.csv: Is a directory, {need}"
    path = tmp_path / "r.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\n")
    assert refusal(path) == f"r.csv: a file that is no text, {need}"
    path.write_text(f'{HEADER}\n{FIRST}\n"{"x" * 200_000}', encoding="utf-8")
    assert refusal(path) == f"r.csv, line 3: field larger than field limit (131072), {need}"


def test_line_numbers_hold_beyond_the_first_batch(tmp_path: Path) -> None:
    rows = 70_000
    assert refusal(table(tmp_path, HEADER, *[FIRST] * rows, changed(head_id="x"))).startswith(
        f"r.csv, line {rows + 2}: head_id = x"
    )


@pytest.mark.parametrize(("kind", "requantised", "keys"), [("dense", 0, 1.0), ("optimised", 323, 0.276)])
def test_published_tables(shared_data: Path, kind: str, requantised: int, keys: float) -> None:
    path = shared_data / "spatten" / f"gpt2_small_wikitext2_{kind}.csv.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    requests = read_requests(path)
    assert len(requests) == 32 * 12 * 12
    assert int(requests.requantised.sum()) == requantised
    assert round(float((requests.keys / requests.length).mean()), 3) == keys
    assert sorted(set(requests.length.tolist())) == list(range(993, 1025))
    assert set(requests.key_bits.tolist()) == ({0} if kind == "dense" else {6})
