"""Layer tables as files: what is read, and what is said of a file that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from workloads import layer_csv
from workloads.errors import WorkloadError
from workloads.layer_csv import read_layers, write_layers
from workloads.layers import READS_INPUT

HEADING = "name,kind,batch,in_h,in_w,in_c,out_h,out_w,out_c,kernel_h,kernel_w,stride,groups,act_bits,wgt_bits"
FIRST = "first,conv,1,32,32,3,32,32,16,3,3,1,1,8,8"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """Return what is said of the file, without the folder it is in."""
    with pytest.raises(WorkloadError) as caught:
        read_layers(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    table = read_layers(write(tmp_path, HEADING, FIRST, "second,linear,1,1,1,64,1,1,10,1,1,1,1,4,2"))
    assert (table.name, table.layer_names) == ("table", ("first", "second"))
    again = tmp_path / "again.csv"
    write_layers(table, again)
    assert read_layers(again).layers() == table.layers()


def test_reads_input_may_be_missing_or_empty(tmp_path: Path) -> None:
    assert read_layers(write(tmp_path, HEADING, FIRST)).values[0, READS_INPUT] == 0
    with_column = write(tmp_path, HEADING + ",reads_input", FIRST + ",", FIRST + ",1")
    assert read_layers(with_column).values[:, READS_INPUT].tolist() == [0, 1]


def test_dilation_may_be_missing_or_empty(tmp_path: Path) -> None:
    with_column = write(tmp_path, HEADING + ",dilation", FIRST + ",", FIRST + ",3")
    assert [layer.dilation for layer in read_layers(with_column).layers()] == [1, 3]


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    plain = read_layers(write(tmp_path, HEADING, FIRST))
    columns, values = (",".join(reversed(line.split(","))) for line in (HEADING, FIRST))
    other = read_layers(write(tmp_path, f"comment,{columns}", f"anything,{values}"))
    assert other.layers() == plain.layers()


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_heading(tmp_path: Path) -> None:
    assert len(read_layers(write(tmp_path, "\ufeff" + HEADING, FIRST))) == 1


def changed(column: str, text: str) -> str:
    values = dict(zip(HEADING.split(","), FIRST.split(","), strict=True)) | {column: text}
    return ",".join(values.values())


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("in_c", "-3", "in_c = -3, need 1..1048576"),
        ("kind", "pool", "kind = pool, need one of conv, depthwise, linear, matmul"),
        ("kind", "", "kind = , need one of conv, depthwise, linear, matmul"),
        ("wgt_bits", "0", "wgt_bits = 0, need 1..32"),
        ("wgt_bits", "33", "wgt_bits = 33, need 1..32"),
        ("act_bits", "3.5", "act_bits = '3.5', need a whole number"),
        ("batch", "", "batch = '', need a whole number"),
        ("out_h", "40", "out_h = 40, need 1..34 for in_h = 32, stride = 1"),
        ("groups", "2", "in_c = 3, need a multiple of groups = 2"),
    ],
)
def test_a_wrong_value_is_said_with_its_line(tmp_path: Path, column: str, text: str, said: str) -> None:
    path = write(tmp_path, HEADING, FIRST, changed(column, text))
    assert refusal(path) == f"table.csv, line 3: {said}"


def test_a_short_row_is_a_missing_value(tmp_path: Path) -> None:
    path = write(tmp_path, HEADING, FIRST.rsplit(",", 1)[0])
    assert refusal(path) == "table.csv, line 2: wgt_bits = '', need a whole number"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, HEADING.replace(",groups", ""), FIRST)
    assert refusal(path) == f"table.csv: column groups is missing, need columns {HEADING.replace(',', ', ')}"


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.touch()
    assert refusal(path).startswith("table.csv: column name is missing, need columns name, kind, batch")


def test_a_heading_alone_is_no_network(tmp_path: Path) -> None:
    assert "rows is missing, need at least one layer" in refusal(write(tmp_path, HEADING))


def test_a_missing_file(tmp_path: Path) -> None:
    said = "none.csv: No such file or directory, need a layer table as CSV"
    assert refusal(tmp_path / "none.csv") == said


def test_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert refusal(folder) == "folder.csv: Is a directory, need a layer table as CSV"


@pytest.mark.parametrize("content", [bytes(range(256)), b"\x1f\x8b\x08\x00\xff\xfe", b"\x93NUMPY\x01\x00"])
def test_a_binary_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    said = "table.csv: not a text file with comma-separated values, need a layer table as CSV"
    assert refusal(path) == said


def test_a_file_of_zero_bytes_has_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(bytes(64))
    assert refusal(path).startswith("table.csv: ")


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_csv, "LARGEST_FILE_BYTES", 100)
    path = write(tmp_path, HEADING, FIRST)
    assert refusal(path) == f"table.csv: size = {path.stat().st_size} bytes, need at most 100"
