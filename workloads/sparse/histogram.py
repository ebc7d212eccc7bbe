"""How many rows have how many elements, in buckets that double: 1, 2, 3-4, 5-8, ... 32769-65536, and above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The longest row of every bucket but the last, which has no end.
BUCKET_ENDS = tuple(2**power for power in range(17))
BUCKET_STARTS = (1, *(end + 1 for end in BUCKET_ENDS))
BUCKETS = tuple(
    str(start) if start == end else f"{start}-{end}"
    for start, end in zip(BUCKET_STARTS, (*BUCKET_ENDS, ""), strict=True)
)


def row_length_histogram(indptr: NDArray[np.integer]) -> dict[str, int]:
    """Return the number of rows in every bucket; rows without an element are in none.

    Parameters
    ----------
    indptr : array of int, shape (rows + 1,)
        Row starts of a CSR matrix.
    """
    lengths = np.diff(indptr)
    which = np.searchsorted(BUCKET_ENDS, lengths[lengths > 0])
    return dict(zip(BUCKETS, np.bincount(which, minlength=len(BUCKETS)).tolist(), strict=True))
