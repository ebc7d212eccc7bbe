"""Laying a sparse product on OuterSPACE: column k of A with row k of B, then the rows of C.

Source: Pal et al., "OuterSPACE: An Outer Product based Sparse Matrix Multiplication Accelerator", HPCA 2018. There is
nothing to choose: tasks go to whoever is free.
"""

from __future__ import annotations

import numpy as np

from accel.outerspace.config import Config
from accel.outerspace.plan import Plan
from workloads.sparse.product import SparseProduct
from workloads.sparse.statistics import output_nnz


def best_plan(config: Config, product: SparseProduct) -> Plan:
    """Count a product's tasks.

    Parameters
    ----------
    config : accel.outerspace.Config
        Every configuration gets the same plan.
    product : SparseProduct

    Returns
    -------
    Plan
    """
    row_elements = np.diff(product.b.indptr).astype(np.int64)
    before = np.concatenate(([0], np.cumsum(row_elements[product.a.indices])))
    return Plan(
        product=product,
        column_elements=np.bincount(product.a.indices, minlength=len(row_elements)).astype(np.int64),
        row_elements=row_elements,
        merge_elements=np.diff(before[product.a.indptr]).astype(np.int64),
        output_nnz=output_nnz(product),
    )
