"""SpArch, cycle by cycle and with its product, against scipy's ``A @ B`` of the same matrix in the same process.

The rival gets its indices as 32-bit numbers, which is faster, and may leave its result unsorted. Three figures for each
matrix: a whole run from the matrix on; a further hardware point of a matrix already merged; peak memory. Named matrices
are generated; with ``SEXTANT_DATA`` set to a folder that has ``matrices/*.npz``, those are measured too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy import sparse

from accel.sparch import PRESETS, simulate
from benchmarks.timing import cpu_seconds, keep, number_printed, show
from mappers.sparch import best_plan
from workloads.sparse.catalog import open_sparse
from workloads.sparse.product import SparseProduct

GENERATED = {
    "R-MAT": ("rmat:scale=14,edges=8", "bar 3.5, goal 2"),
    "uniform": ("uniform:rows=100000,per_row=8", "bar 3.5, goal 2"),
    "power law": ("power_law:rows=50000,per_row=10,exponent=2.6", "bar 5, goal 3"),
    "2-D Poisson": ("poisson2d:400", "bar 8, goal 5"),
    "27-point": ("stencil27:36", "bar 8, goal 5"),
}
GROWTH = (
    "uniform:rows=1600,per_row=8",
    "uniform:rows=16000,per_row=8",
    "uniform:rows=160000,per_row=8",
    "uniform:rows=1600000,per_row=8",
)
COLD = """
import time
import numpy, numba, scipy.sparse
imported = time.process_time()
from accel.sparch import PRESETS, simulate
from mappers.sparch import best_plan
from workloads.sparse.catalog import open_sparse
simulate(PRESETS["paper"], best_plan(PRESETS["paper"], open_sparse("poisson2d:20")))
print(time.process_time() - imported)
"""

NUMBA_ALONE = """
import time
import numpy, numba, scipy.sparse
from accel.sparch.merge_kernels import number_leaves
nothing = numpy.zeros(1, numpy.int32)
imported = time.process_time()
number_leaves(nothing, nothing, True, nothing, nothing)
print(time.process_time() - imported)
"""

MEMORY = """
import ctypes
from pathlib import Path
from accel.sparch import PRESETS, simulate
from benchmarks.sparch_speed import narrow
from mappers.sparch import best_plan
from workloads.sparse.catalog import open_sparse
def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
def machine(product):
    return simulate(PRESETS["paper"], best_plan(PRESETS["paper"], product))
def rival(product):
    return narrow(product.a) @ narrow(product.b)
{run}(open_sparse("poisson2d:10"))
product = open_sparse("{name}")
ctypes.CDLL(None).malloc_trim(0)
before = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
kept = {run}(product)
print(resident("VmHWM") - before)
"""


def narrow(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return the matrix with 32-bit indices."""
    parts = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return sparse.csr_array(parts, shape=matrix.shape)


def ratios(product: SparseProduct) -> dict[str, float]:
    """Return CPU time relative to scipy's, of a whole run and of a further hardware point; and simulated cycles."""
    config = PRESETS["paper"]
    kept, a, b = best_plan(config, product), narrow(product.a), narrow(product.b)
    seconds = cpu_seconds(
        {
            "whole": lambda: simulate(config, best_plan(config, product)),
            "further": lambda: simulate(config, kept),
            "scipy": lambda: a @ b,
        },
        rounds=3,
    )
    cycles = simulate(config, kept).cycles
    return {
        "whole": seconds["whole"] / seconds["scipy"],
        "further": seconds["further"] / seconds["scipy"],
        "cycles_per_second": cycles / seconds["whole"],
        "multiplies_per_second": product.multiplies / seconds["whole"],
    }


def memory_ratio(name: str) -> float:
    """Return the most memory a whole run has resident beyond its matrices, relative to scipy's; fresh processes."""
    return number_printed(MEMORY.format(name=name, run="machine")) / number_printed(
        MEMORY.format(name=name, run="rival")
    )


def start_seconds() -> tuple[float, float, float]:
    """Return the CPU time above imports of a first small run with an empty kernel cache, and with a full one.

    The third is what numba itself takes of it: the first call of the smallest kernel, with a full cache.
    """
    with TemporaryDirectory() as folder:
        cold, warm = (number_printed(COLD, SEXTANT_CACHE_DIR=folder) for _ in range(2))
        _, numba_alone = (number_printed(NUMBA_ALONE, SEXTANT_CACHE_DIR=folder) for _ in range(2))
    return cold, warm, numba_alone


def main() -> None:
    figures: dict[str, float] = {}
    for kind, (name, asked) in GENERATED.items():
        product = open_sparse(name)
        measured = ratios(product)
        further = "bar 4, goal 2" if kind in ("2-D Poisson", "27-point") else "bar 2, goal 1"
        show(f"{kind}, {product.multiplies / 1e6:.1f} M products: whole run / scipy", f"{measured['whole']:.2f}", asked)
        show("  further hardware point / scipy", f"{measured['further']:.2f}", further)
        show(
            "  simulated cycles [1/s], products [1/s]",
            f"{measured['cycles_per_second']:.2g}, {measured['multiplies_per_second']:.2g}",
        )
        show("  peak memory / scipy", f"{memory_ratio(name):.2f}", "bar 3")
        figures |= {f"{kind} {what}": value for what, value in measured.items()}
    for name in GROWTH:
        product = open_sparse(name)
        simulate(PRESETS["paper"], best_plan(PRESETS["paper"], product))
        started = time.process_time()
        simulate(PRESETS["paper"], best_plan(PRESETS["paper"], product))
        spent = time.process_time() - started
        show(
            f"uniform, {product.multiplies:.1e} products [ns each]",
            f"{spent / product.multiplies * 1e9:.0f}",
            "no growth",
        )
        figures[f"growth {product.multiplies}"] = spent
    real = sorted((Path(os.environ.get("SEXTANT_DATA", "")) / "matrices").glob("*.npz"))
    whole, further = [], []
    for path in real:
        measured = ratios(open_sparse(str(path)))
        whole.append(measured["whole"])
        further.append(measured["further"])
        show(f"{path.stem}: whole, further / scipy", f"{whole[-1]:.2f}, {further[-1]:.2f}")
        figures[f"{path.stem} whole"], figures[f"{path.stem} further"] = whole[-1], further[-1]
    if real:
        for what, ratio, asked in (
            ("whole run", whole, "bar 5, goal 2.5"),
            ("further hardware point", further, "bar 2, goal 1; stencils 4 and 2"),
        ):
            geomean = float(np.exp(np.mean(np.log(ratio))))
            show(f"geometric mean over {len(real)} real matrices: {what} / scipy", f"{geomean:.2f}", asked)
            figures[f"geomean {what}"] = geomean
    cold, warm, numba_alone = start_seconds()
    show("first run, kernels compiled [CPU s above imports]", f"{cold:.1f}", "bar 8")
    show("first run, kernels loaded [CPU s above imports]", f"{warm:.2f}", "bar 0.3")
    show("  of which numba itself, at the first call of any kernel", f"{numba_alone:.2f}")
    keep("sparch_speed", {**figures, "cold": cold, "warm": warm, "numba_alone": numba_alone})


if __name__ == "__main__":
    main()
