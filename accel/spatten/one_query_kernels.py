"""A layer of one query a head, as generation has them: all that is done with a row while its keys are in the caches.

Source: Wang et al., SpAtten, HPCA 2021; the arithmetic is that of ``softmax_kernels`` and ``topk_kernels``.
"""

from __future__ import annotations

import numpy as np

from accel.jit import inlined_kernel, lean_kernel
from accel.spatten.softmax_kernels import ONE, prune_row, softmax_row

Q, HIGH, LOW, V = range(4)


@inlined_kernel
def dot(a, b):
    """Return the exact product of two vectors of whole numbers."""
    total = np.int32(0)
    for i in range(len(a)):
        total = np.int32(total + np.int32(np.int32(a[i]) * np.int32(b[i])))
    return total


@inlined_kernel
def add_weighed(probability, value, sums):
    """Add a value, so many times, to the sums."""
    for i in range(len(sums)):
        sums[i] += probability * value[i]


@lean_kernel
def attend_once(
    planes, query, heads, tokens, shown, whole, scales, low_step, steps, threshold, keeps, lanes, turn_cycles, random,
    room, scratch, again, cycles, kept, importance, output,
):  # fmt: skip
    """Compute the rows of one query in several heads.

    Contract
    --------
    planes : tuple of float32[all heads, all tokens, head_dim]   queries, keys' upper and lower bits, values
    query : int                          the token that asks
    heads, tokens : int64[...]           those alive
    shown : bool[heads, tokens]          what each head's query sees of them
    whole : bool                         whether keys are read with all bits at once
    scales : float32[heads]              what a score of all bits stands for
    low_step, steps : float32            whole keys' steps of a first plane; steps of a probability of 1
    threshold : float32                  rows whose probabilities are all below are computed again
    keeps : int64[heads]                 probabilities kept of each row
    lanes, turn_cycles, random, room     as for ``quick_select``
    scratch : (int64[tokens], int32[tokens], float32[tokens], bool[tokens], int32[tokens])
    again, cycles, kept, output          written, a row for each head; ``output`` exact sums in steps, 0 before
    importance : int32[tokens]           added to
    """
    q, high, low, v = planes[Q], planes[HIGH], planes[LOW], planes[V]
    seen, scores, probabilities, chosen, given = scratch
    step = np.int64(low_step)
    for row in range(len(heads)):
        head, count = heads[row], np.int64(0)
        for i in range(len(tokens)):
            kept[row, i] = False
            seen[count] = i
            count += np.int64(shown[row, i])
        asking, keys = q[head, query], high[head]
        for i in range(count):
            scores[i] = dot(asking, keys[tokens[seen[i]]])
        peak = ONE
        if not whole:
            peak = softmax_row(scores, count, np.float32(scales[row] * low_step), steps, probabilities)
        again[row] = peak < threshold
        if whole or again[row]:
            keys = low[head]
            for i in range(count):
                scores[i] = np.int32(scores[i] * step + dot(asking, keys[tokens[seen[i]]]))
            softmax_row(scores, count, scales[row], steps, probabilities)
        for i in range(count):
            given[i], chosen[i] = 0, True
        cycles[row] = prune_row(
            probabilities, count, keeps[row], lanes, turn_cycles, random, room, chosen, given
        )  # fmt: skip
        values, sums = v[head], output[row]
        for i in range(count):
            importance[seen[i]] += given[i]
            kept[row, seen[i]] = chosen[i]
            if chosen[i]:
                add_weighed(probabilities[i], values[tokens[seen[i]]], sums)


@lean_kernel
def list_fetches(asked, members, tokens, together, fetched, pointers):
    """List the tokens that any member of a group asks for, filled up to whole ``together``, group after group.

    ``asked`` is bool[heads, tokens]; ``fetched`` and ``pointers``, of which there is one more than groups, are written.
    """
    first, n = np.int64(0), np.int64(0)
    pointers[0] = 0
    for group in range(len(members)):
        for i in range(len(tokens)):
            fetched[n] = tokens[i]
            wanted = False
            for row in range(first, first + members[group]):
                wanted = wanted or asked[row, i]
            n += np.int64(wanted)
        while (n - pointers[group]) % together > 0:
            fetched[n] = fetched[n - 1] + 1
            n += 1
        first += members[group]
        pointers[group + 1] = n
