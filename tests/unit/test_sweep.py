"""What a sweep's file says: which points, in which order, on whom; and what the command shows of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from searchers.evaluation import cluster
from searchers.evaluation.execution import Execution, read_execution
from searchers.sweeps.arithmetic import Formula
from searchers.sweeps.sweep import Tally, run_sweep
from searchers.sweeps.sweep_file import Sweep, read_sweep
from tests.command_line import sextant
from workloads.errors import StudyError, WorkloadError
from workloads.layer_csv import write_layers
from workloads.source import open_layers

Fields = list[tuple[object, ...]]
Read = Callable[[str], Sweep]
HEAD = 'workloads = ["lenet5-bitfusion"]\n[machine]\nname = "systolic"\n'


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return what writes a sweep's file and reads it."""

    def write_and_read(text: str) -> Sweep:
        (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
        return read_sweep(tmp_path / "sweep.toml")

    return write_and_read


def varied(sweep: Sweep, *names: str) -> Fields:
    return [tuple(json.loads(design).get(name) for name in names) for design in sweep.designs]


def test_axes_are_crossed_the_last_one_fastest(read: Read) -> None:
    sweep = read(HEAD + "rows = [4, 8]\ncolumns = { low = 1, high = 4, factor = 2 }\nsram_bytes = 65536")
    assert varied(sweep, "rows", "columns") == [(4, 1), (4, 2), (4, 4), (8, 1), (8, 2), (8, 4)]
    assert [task.config.sram_bytes for task in sweep.tasks] == [65536] * 6
    assert len(set(sweep.keys)) == 6


def test_zipped_axes_go_together(read: Read) -> None:
    sweep = read(HEAD + 'rows = [4, 8]\ndataflow = ["os", "ws"]\ncolumns = [1, 2]\nzipped = [["columns", "rows"]]')
    assert varied(sweep, "rows", "dataflow", "columns") == [(4, "os", 1), (4, "ws", 1), (8, "os", 2), (8, "ws", 2)]


def test_derived_fields_follow_from_others(read: Read) -> None:
    sweep = read(HEAD + 'rows = { low = 4, high = 12, step = 4 }\n[machine.derived]\ncolumns = "max(rows, 8) // 2"')
    assert varied(sweep, "rows", "columns") == [(4, 4), (8, 4), (12, 6)]
    assert [task.config.columns for task in sweep.tasks] == [4, 4, 6]


def test_a_point_that_cannot_be_derived_is_failed_and_the_others_are_not(read: Read, tmp_path: Path) -> None:
    sweep = read(HEAD + 'rows = [4, 8]\n[machine.derived]\ncolumns = "rows / 8"')
    failed, done = run_sweep(sweep, tmp_path / "out")
    assert failed.outcome.reason.startswith("point: columns = 0.5, need a whole number")
    assert done.outcome.quantities["cycles"] > 0


def test_machines_and_workloads_follow_each_other(read: Read) -> None:
    sweep = read(
        'workloads = ["lenet5-bitfusion", "svhn-bitfusion"]\n[[machine]]\nname = "systolic"\nrows = [4, 8]\n'
        '[[machine]]\nname = "sparch"\nfidelity = "estimate"\n'
        'workloads = [["uniform:rows=9", "uniform:rows=9,seed=2"]]\n'
    )
    assert varied(sweep, "machine", "workload", "rows") == [
        ("systolic", "lenet5-bitfusion", 4),
        ("systolic", "lenet5-bitfusion", 8),
        ("systolic", "svhn-bitfusion", 4),
        ("systolic", "svhn-bitfusion", 8),
        ("sparch", "uniform:rows=9", None),
    ]
    assert varied(sweep, "workload_b")[-1] == ("uniform:rows=9,seed=2",)
    assert [task.source for task in sweep.tasks] == [0, 0, 1, 1, 2]


def test_points_that_share_a_merge_are_of_one_group(read: Read) -> None:
    axes = "merge_layers = [4, 5]\nlook_ahead = [8, 16]"
    sweep = read(f'workloads = ["uniform:rows=9"]\n[machine]\nname = "sparch"\n{axes}')
    groups = [task.group for task in sweep.tasks]
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_another_file_under_the_same_name_is_another_sweep(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    text = HEAD.replace("lenet5-bitfusion", str(path))
    write_layers(open_layers("lenet5-bitfusion"), path)
    first = read(text)
    write_layers(open_layers("svhn-bitfusion"), path)
    assert read(text).key != first.key
    with pytest.raises(WorkloadError, match="need the file the sweep was started with"):
        run_sweep(first, tmp_path / "out")


def test_the_best_of_equal_points_is_the_first(read: Read, tmp_path: Path) -> None:
    sweep = read(HEAD + "clock_hz = [1e8, 2e8]\nsram_bytes = [1048576, 2097152]")
    points = run_sweep(sweep, tmp_path / "out")
    tally = Tally(sweep, [points[3]])
    tally.add(points[:3])
    assert points[2].outcome.quantities["seconds"] == points[3].outcome.quantities["seconds"]
    assert tally.progress.best == points[2]
    assert (tally.progress.evaluated, tally.progress.total, tally.progress.failed) == (4, 4, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rows * 2 + 1", 9),
        ("-rows", -4),
        ("rows / 8", 0.5),
        ("(rows + 4) / 2", 4),
        ("min(rows, 3) % 2", 1),
        ("7 // 2", 3),
    ],
)
def test_formulas_are_worked_out(text: str, value: float) -> None:
    assert Formula(text).value({"rows": 4}) == value
    assert type(Formula(text).value({"rows": 4})) is type(value)


@pytest.mark.parametrize("text", ["rows.real", "f(rows)", "2 ** 9", "[1]", "'a'", "True", "rows if 1 else 2", "x := 1"])
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a formula of fields and numbers"):
        Formula(text)


def test_workers_are_read_and_options_go_before(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text('[workers]\nexecutor = "processes"\ncount = 3\ntime_limit_s = 5\n', encoding="utf-8")
    execution = read_execution(path)
    assert (execution.executor, execution.count, execution.time_limit_s) == ("processes", 3, 5)
    assert execution.with_options(workers=7, executor=None, dask=None).count == 7
    with pytest.raises(StudyError, match=r"need processes, .*: only a process can be stopped"):
        execution.with_options(workers=None, executor="threads", dask=None)
    chosen = Execution().with_options(workers=None, executor=None, dask="tcp://here:1")
    assert (chosen.executor, chosen.address) == ("dask", "tcp://here:1")
    with pytest.raises(StudyError, match="--executor = threads, need dask, because of --dask"):
        Execution().with_options(workers=None, executor="threads", dask="tcp://here:1")


def test_the_command_shows_the_best_of_each_workload_and_goes_on(tmp_path: Path) -> None:
    path, folder = tmp_path / "sweep.toml", tmp_path / "out"
    path.write_text(HEAD + "rows = [4, 8]\n", encoding="utf-8")
    ran = sextant("sweep", path, "--out", folder)
    assert ran.code == 0
    assert "sweep: least seconds of each workload" in ran.out
    assert "rows=8" in ran.out
    assert "2 of 2 points" in ran.err
    assert sextant("resume", folder).out == ran.out
    message = f"sextant: {folder}: holds a study already, need another folder, or: sextant resume {folder}\n"
    assert sextant("sweep", path, "--out", folder) == (4, "", message)
    assert "--budget = 3, need nothing" in sextant("resume", folder, "--budget", 3).err
    exported = sextant("export", folder, "--csv", tmp_path / "points.csv")
    assert exported.out == f"wrote {tmp_path / 'points.csv'}\n"
    assert (tmp_path / "points.csv").read_bytes() == (folder / "results.csv").read_bytes()


def test_a_best_that_no_report_has_is_named_and_the_table_is_kept(tmp_path: Path) -> None:
    path, folder = tmp_path / "sweep.toml", tmp_path / "out"
    path.write_text('best = "beauty"\n' + HEAD + "rows = [4, 8]\n", encoding="utf-8")
    ran = sextant("sweep", path, "--out", folder)
    assert ran.code == 2
    assert "sextant: sweep: best = beauty, need a number of some report: " in ran.err
    assert ran.err.endswith(", seconds\n")
    assert (folder / "results.csv").read_text(encoding="utf-8").count("done") == 2


def test_a_sweep_that_goes_on_elsewhere_names_the_file_it_does_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 1\n", encoding="utf-8")
    path = tmp_path / "sweep.toml"
    path.write_text('workloads = ["m.mtx"]\n[[machine]]\nname = "sparch"\nlook_ahead = [10, 100]\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert sextant("sweep", path, "--out", tmp_path / "out").code == 0
    monkeypatch.chdir("/")
    ran = sextant("resume", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "m.mtx: No such file or directory" in ran.err


def test_parquet_holds_what_csv_holds(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    path, folder = tmp_path / "sweep.toml", tmp_path / "out"
    path.write_text(HEAD + "rows = [4, 8]\n", encoding="utf-8")
    assert sextant("sweep", path, "--out", folder).code == 0
    assert sextant("export", folder, "--parquet", tmp_path / "points.parquet").code == 0
    parquet, table = pd.read_parquet(tmp_path / "points.parquet"), pd.read_csv(folder / "results.csv")
    assert list(parquet.columns) == list(table.columns)
    assert parquet["cycles"].tolist() == table["cycles"].tolist()


def test_a_cluster_that_cannot_be_had_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    path = tmp_path / "sweep.toml"
    path.write_text(HEAD + '[workers]\nexecutor = "dask"\ncluster = "slurm"\n', encoding="utf-8")
    ran = sextant("sweep", path, "--out", tmp_path / "slurm")
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2, "sextant: workers: executor = dask, need the library dask_jobqueue: pip install dask-jobqueue"
    )  # fmt: skip
    ran = sextant("sweep", path, "--out", tmp_path / "none", "--dask", "tcp://127.0.0.1:9")
    said = "sextant: dask: workers.address = tcp://127.0.0.1:9, need a scheduler that answers"
    assert (ran.code, ran.err.splitlines()[-1]) == (2, said)
