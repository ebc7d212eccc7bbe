"""Two hundred inputs that are wrong, each for a reader of the command line: what it is called, and what it holds."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

HOUSE = Path(__file__).resolve().parents[2]
SWEEP = {
    "workloads": 'workloads = ["lenet5-bitfusion"]',
    "machine": '[[machine]]\nname = "systolic"',
    "rows": "rows = [4, 8]",
    "columns": "columns = [4, 8]",
}
BAD_SWEEPS: list[dict[str, str]] = [
    *(
        {"workloads": f"workloads = {bad}"}
        for bad in (
            "[]",
            "3",
            '"lenet5"',
            "[3]",
            '["nothing-of-this-name"]',
            '[""]',
            '["a", "a"]',
            '[["a", "b", "c"]]',
            "[[]]",
            '["lenet5-bitfusion", "none.csv"]',
            '[["lenet5-bitfusion", "lenet5-bitfusion"]]',
            '["\\u0000"]',
            '["../../etc/passwd"]',
        )
    ),
    *(
        {"machine": f"[[machine]]\n{bad}"}
        for bad in (
            "",
            'name = "nothing"',
            "name = 3",
            'name = "systolic"\npreset = "nothing"',
            'name = "systolic"\npreset = 3',
            'name = "systolic"\nfidelity = "sample"',
            'name = "systolic"\nfidelity = []',
            'name = "systolic"\nsample = 2',
            'name = "systolic"\nzipped = 3',
            'name = "systolic"\nzipped = [["rows", "depth"]]',
            'name = "systolic"\nzipped = [[]]',
            'name = "systolic"\nzipped = [["rows"], ["rows"]]',
            'name = "systolic"\nderived = 3',
            'name = "systolic"\nevil = 3',
            'name = "systolic"\ndataflow = ["os", "no"]',
            'name = "systolic"\nsram_bytes = 1.5',
            'name = "sparch"',
        )
    ),
    {"machine": "machine = 3"},
    {"machine": "[machine]"},
    *(
        {"rows": f"rows = {bad}"}
        for bad in (
            "[]",
            "[4, 4]",
            '["4"]',
            "[0]",
            "[true]",
            "[1e400]",
            "[nan]",
            "[99999999999999999999999]",
            "{}",
            "{ low = 1 }",
            "{ low = 1, high = 4 }",
            "{ low = 4, high = 1, step = 1 }",
            "{ low = 1, high = 4, step = 0 }",
            '{ low = "1", high = 4, step = 1 }',
            "{ low = 1, high = 9, step = -1 }",
            "{ low = 1, high = 9, factor = 1 }",
            "{ low = 0, high = 9, factor = 2 }",
            "{ low = 1, high = 9, step = 1, factor = 2 }",
            "{ low = 1, high = inf, step = 1 }",
            "{ low = 1, high = 4, step = 0.5 }",
            "[[4]]",
            '"4"',
            "{ low = 1, high = 1000000000000, step = 1 }",
        )
    ),
    *(
        {"columns": f"columns = [4, 8, 16]\n[machine.derived]\n{bad}"}
        for bad in (
            'rows = "columns"',
            "sram_bytes = \"__import__('os').system('true')\"",
            'sram_bytes = "columns ** 9999999"',
            'sram_bytes = "nothing * 2"',
            'sram_bytes = "columns."',
            "sram_bytes = 3",
            'sram_bytes = "(lambda: 3)()"',
            'sram_bytes = "columns if rows else 3"',
            'sram_bytes = "[columns][0]"',
            'sram_bytes = "columns.real"',
            'sram_bytes = ""',
            "sram_bytes = \"'a' * 1000000000\"",
            'nothing = "3"',
            'sram_bytes = "columns // 0"',
            'sram_bytes = "min(columns)"',
        )
    ),
    *(
        {"columns": f"[workers]\n{bad}"}
        for bad in (
            'executor = "magic"',
            "count = 0",
            'count = "2"',
            "time_limit_s = 3",
            'executor = "processes"\nmemory_limit_mb = -1',
            "retries = 1.5",
            "nothing = 3",
            'address = "somewhere"',
            'executor = "dask"\ncluster = "moon"',
            "slurm = 3",
        )
    ),
]
BAD_TOML = [b"", b"=", b"a = [", b"\xff\xfe", b"a = 1\na = 2", b"\0\0", b"[" * 3000, b"x = 1" + b"0" * 5000]
MATRIX = "%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1.0\n3 2 2.0\n"
BAD_MATRICES = [
    "",
    "\n\n",
    "not a matrix",
    "%%MatrixMarket",
    "%%MatrixMarket matrix coordinate real",
    MATRIX.replace("general", "triangular"),
    MATRIX.replace("real", "complex"),
    MATRIX.replace("matrix", "vector", 1),
    MATRIX.replace("3 3 2", "3 3"),
    MATRIX.replace("3 3 2", "3 3 3"),
    MATRIX.replace("3 3 2", "3 3 1"),
    MATRIX.replace("3 3 2", "2 2 2"),
    MATRIX.replace("3 3 2", "0 3 2"),
    MATRIX.replace("3 3 2", "-3 3 2"),
    MATRIX.replace("3 3 2", "3 3 99999999999999999999"),
    MATRIX.replace("3 3 2", "99999999999999 3 2"),
    MATRIX.replace("1 1 1.0", "0 1 1.0"),
    MATRIX.replace("1 1 1.0", "1 4 1.0"),
    MATRIX.replace("1 1 1.0", "1 1 x"),
    MATRIX.replace("1 1 1.0", "1 1"),
    MATRIX.replace("1 1 1.0", "1.5 1 1.0"),
    MATRIX.replace("1 1 1.0", "1 1 nan"),
    MATRIX.replace("1 1 1.0", "1 1 inf"),
    MATRIX + "2 2 2.0\n",
    MATRIX[:-9],
    MATRIX.replace("3 2 2.0", "3 2 2.0 2.0"),
    MATRIX.replace("coordinate", "array"),
    MATRIX.replace("3 3 2", "3 4 2"),
    "\0" * 100,
]
LAYERS = (HOUSE / "examples" / "lenet5.csv").read_text(encoding="utf-8")
TITLES, FIRST = LAYERS.splitlines()[:2]
MODEL = {"model_type": "bert", "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "vocab_size": 100}
STORES = [b"", b"text\n" * 50, b"\0" * 9000, b"SQLite format 3\0" + b"\0" * 84, b"SQLite format 3\0" + b"\xff" * 9000]


def inputs(folder: Path) -> Iterator[list[object]]:
    """Write every bad input into a folder and yield the command that reads it."""
    number = count()
    for bad in BAD_SWEEPS:
        yield [
            "sweep",
            write(folder, ".toml", "\n".join({**SWEEP, **bad}.values())),
            "--out",
            folder / f"out{next(number)}",
        ]
    for data in BAD_TOML:
        yield ["sweep", write(folder, ".toml", data), "--out", folder / f"out{next(number)}"]
        yield ["cosearch", write(folder, ".toml", data), "--out", folder / f"out{next(number)}"]
    for data in BAD_TOML[1:]:
        yield ["simulate", "systolic", "lenet5-bitfusion", "--config", write(folder, ".toml", data)]
    for text in BAD_MATRICES:
        yield ["simulate", "sparch", write(folder, ".mtx", text)]
    for data in archives():
        yield ["simulate", "sparch", write(folder, ".npz", data)]
        yield ["simulate", "spatten", write(folder, ".npz", data)]
    for text in tables():
        yield ["simulate", "systolic", write(folder, ".csv", text)]
    for model in models():
        text = model if isinstance(model, str) else json.dumps(model)
        yield ["simulate", "spatten", write(folder, ".json", text)]
    for data in STORES:
        study = folder / f"store{len(list(folder.iterdir()))}"
        study.mkdir()
        write(study, ".toml", "\n".join(SWEEP.values())).rename(study / "sweep.toml")
        (study / "study.sqlite").write_bytes(data)
        yield ["resume", study]
        yield ["export", study]


def write(folder: Path, ending: str, data: str | bytes) -> Path:
    path = folder / f"bad{len(list(folder.iterdir()))}{ending}"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def archives() -> Iterator[bytes]:
    """Yield ``.npz`` files of which neither a matrix nor an attention trace can be made."""
    small: dict[str, Any] = {
        "format": b"csr",
        "shape": np.array([2, 2]),
        "indptr": np.array([0, 1, 2]),
        "indices": np.array([0, 1]),
        "data": np.ones(2),
    }
    changes: list[dict[str, Any]] = [
        {"format": b"coo-ish"},
        {"shape": np.array([2])},
        {"shape": np.array([2, -2])},
        {"indptr": np.array([0, 2, 1])},
        {"indices": np.array([0, 9])},
        {"data": np.array([1.0, np.nan])},
        {"data": np.array(["a", "b"])},
        {"indptr": np.array([0.5, 1, 2])},
        {"data": np.array([None, {}], dtype=object)},
        {"indices": np.array([0])},
        {"shape": np.array([2, 10**18])},
    ]
    for change in changes:
        yield archive({**small, **change})
    yield archive({"q": np.ones((1, 1, 4)), "k": np.ones((1, 1, 4)), "v": np.ones((1, 1, 4))})
    yield archive({"q": np.full((1, 1, 4, 2), np.nan), "k": np.ones((1, 1, 4, 2)), "v": np.ones((1, 1, 4, 2))})
    whole = archive(small)
    yield from (b"", b"PK", whole[: len(whole) // 2], b"\x80\x04." * 9)
    draw = random.Random(4)
    for _ in range(3):
        place = draw.randrange(30, 60)  # inside the first member's name and header
        yield whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]


def archive(arrays: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def tables() -> Iterator[str]:
    """Yield layer tables that are none."""
    yield from (
        "",
        TITLES,
        FIRST,
        "a,b\n1,2\n",
        LAYERS.replace("name", "nom", 1),
        LAYERS + "x\n",
        LAYERS.replace(",", ";"),
    )
    columns = TITLES.split(",")
    cells = FIRST.split(",")
    for column in ("kind", "batch", "in_h", "out_w", "kernel_h", "stride", "groups", "act_bits"):
        for bad in ("", "-1", "x", "1e99"):
            changed = list(cells)
            changed[columns.index(column)] = bad
            yield f"{TITLES}\n{','.join(changed)}\n"


def models() -> Iterator[object]:
    """Yield Hugging Face configurations of which no attention can be made."""
    yield from ("", "{", "[]", "3", "null", '{"a": 1', "\ufeff{}", "NaN", "[" * 3000)
    for change in (
        {"num_attention_heads": 0},
        {"num_attention_heads": "2"},
        {"num_attention_heads": 3},
        {"hidden_size": -32},
        {"num_hidden_layers": 1.5},
        {"num_hidden_layers": None},
        {"hidden_size": 10**30},
        {"num_attention_heads": True},
    ):
        yield {**MODEL, **change}
    for missing in ("num_hidden_layers", "num_attention_heads", "hidden_size"):
        yield {name: value for name, value in MODEL.items() if name != missing}
