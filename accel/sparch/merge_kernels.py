"""SpArch's merge tree without time: what every merger takes from its left and from its right, and what comes out.

A merger's behaviour does not depend on when its inputs come, only on their order. So the tree is merged once per
matrix, and what a cycle has to know of a merger is kept in two bits for every element it takes:

- *side*: 0 if the element came from the left, 1 if from the right;
- *leaves*: 0 if the next element has the same place in the matrix: its value waits in the adder and leaves with the
  next one. 1 otherwise.

The bits of a node lie in one stream, words of the first and of the second kind in turn. Left goes before right where
both have the same place. Rows are merged a block at a time, with keys (row in the block, column) of 32 bits that stay
in the cache.

Source: Zhang et al., "SpArch", HPCA 2020: comparator-array merger, adder slice and zero eliminator.
"""

import numpy as np

from accel.jit import lean_kernel

NO_KEY = np.uint32(0xFFFFFFFF)  # ends a run: greater than every key
WORD_BITS = 64
LEFT_ONLY_WORDS = 4  # at the beginning of a round's bits: all from the left, all leave
ONE = np.uint64(1)
TWO = np.uint64(2)
THREE = np.uint64(3)
LOW_BITS = np.uint64(0x0101010101010101)  # the lowest bit of each byte
GATHER = np.uint64(0x0102040810204080)  # times a word of such bits: they lie side by side in its top byte
TOP_BYTE = np.uint64(56)
LANE_0, LANE_1 = np.int64(0), np.int64(1)
CHUNK = np.int64(64)  # elements merged before their bits are stored


@lean_kernel
def weigh_columns(pointers, element_k, lengths, condensed, weights, sizes, done):
    """Weigh the columns of A, or of A condensed, and its rows, by their products.

    Contract
    --------
    pointers, element_k : of A
    lengths             : int32[rows of B]     elements of each
    condensed           : bool                 a column holds the elements of one place in their rows
    weights, sizes      : int64[columns]       zero; written: products and elements of each
    done                : int64[rows of A + 1] written: products before each row, and of all
    """
    total = np.int64(0)
    for i in range(len(pointers) - 1):
        done[i] = total
        for e in range(pointers[i], pointers[i + 1]):
            k = np.int64(element_k[e])
            column = e - pointers[i] if condensed else k
            weights[column] += lengths[k]
            sizes[column] += 1
            total += lengths[k]
    done[len(pointers) - 1] = total


@lean_kernel
def order_elements(slot_leaves, leaf_pointers, leaf_elements, element_row, element_k, begin, row, slot, position, k):
    """Order the elements of a round by row, then by slot; return how many there are.

    Contract
    --------
    slot_leaves          : int64[slots]      leaf of a slot, -1 for a slot that is no leaf
    element_row, _k      : int32[nnz of A]   row of each element of A, and of B it multiplies
    begin                : int64[rows + 1]   zero; scratch
    row, slot, k         : int32[elements]   written
    position             : int32[elements]   written: which element of A
    """
    rows = len(begin) - 1
    for leaf in slot_leaves:
        if leaf >= 0:
            for at in range(leaf_pointers[leaf], leaf_pointers[leaf + 1]):
                begin[element_row[leaf_elements[at]] + 1] += 1
    for i in range(rows):
        begin[i + 1] += begin[i]
    total = begin[rows]
    for s in range(len(slot_leaves)):
        leaf = slot_leaves[s]
        if leaf >= 0:
            for at in range(leaf_pointers[leaf], leaf_pointers[leaf + 1]):
                element = leaf_elements[at]
                i = element_row[element]
                to = begin[i]
                begin[i] = to + 1
                row[to] = i
                slot[to] = s
                position[to] = element
                k[to] = element_k[element]
    return total


@lean_kernel
def cut_rows(row, k, b_pointers, reload_row, work, most_work, most_rows, first_rows):
    """Cut a round's rows into blocks of at most ``most_work`` stream elements where rows allow; return how many.

    Contract
    --------
    reload_row : int32[elements reloaded]   their rows, in any order
    work       : int64[rows]                zero; written: stream elements of each row
    first_rows : int64[rows + 1]            written: the first row of each block, then ``rows``
    """
    rows = len(work)
    for e in range(len(row)):
        work[row[e]] += b_pointers[k[e] + 1] - b_pointers[k[e]]
    for i in reload_row:
        work[i] += 1
    blocks = 0
    filled = 0
    begin = 0
    largest = 0
    first_rows[0] = 0
    for i in range(rows):
        if (filled + work[i] > most_work and filled > 0) or i - begin >= most_rows:
            blocks += 1
            first_rows[blocks] = i
            begin = i
            filled = 0
        filled += work[i]
        largest = max(largest, filled)
    first_rows[blocks + 1] = rows
    return blocks + 1, largest


@lean_kernel
def repeat_side(bits, word, at, side, count):
    """Append ``count`` elements that all come from one side, and all leave, to a node's bits, zero so far."""
    while count > 0:
        place = word + 2 * (at >> 6)
        shift = at & 63
        here = min(count, WORD_BITS - shift)
        ones = ~np.uint64(0) >> np.uint64(WORD_BITS - here) << np.uint64(shift)
        bits[place] |= ones * np.uint64(side)
        bits[place + 1] |= ones
        at += here
        count -= here


@lean_kernel
def append_bits(bits, word, at, codes, lane, count):
    """Append a chunk's codes to a node's stream; return the bits the stream then has."""
    side = leaves = np.uint64(0)
    for eight in range(0, count, 8):
        some = codes[lane, eight >> 3]
        shift = np.uint64(eight)
        side |= ((some & LOW_BITS) * GATHER >> TOP_BYTE) << shift
        leaves |= (((some >> ONE) & LOW_BITS) * GATHER >> TOP_BYTE) << shift
    unused = np.uint64(WORD_BITS) - np.uint64(count)
    side = side << unused >> unused
    leaves = leaves << unused >> unused
    place = np.uint64(word + 2 * (at >> 6))
    shift = np.uint64(at & 63)
    rest = np.uint64(WORD_BITS - 1) - shift
    bits[place] |= side << shift
    bits[place + ONE] |= leaves << shift
    bits[place + TWO] |= (side >> ONE) >> rest
    bits[place + THREE] |= (leaves >> ONE) >> rest
    return at + count


@lean_kernel
def merge_queue(keys, queue, waiting, bits, codes, code0, code1):
    """Merge pairs of runs, two pairs at a time: one alone waits for its own last comparison.

    Contract
    --------
    keys  : uint32[]            runs, each ended by ``NO_KEY``
    queue : int64[waiting, 7]   left run, right run, output run (indices of keys); elements of both; first word and
                                bits used of the node's stream; the last column is written: elements put out
    codes : uint64[2, CHUNK // 8]   scratch
    code0, code1 : uint8[CHUNK]     the bytes of its rows
    """
    upcoming = np.int64(0)
    q0 = q1 = np.int64(-1)
    left0 = left1 = at0 = at1 = np.int64(0)
    i0 = j0 = o0 = i1 = j1 = o1 = np.uint64(0)
    while True:
        if left0 == 0:
            if q0 >= 0:
                keys[o0] = NO_KEY
                queue[q0, 6] = np.int64(o0) - queue[q0, 2]
            q0 = np.int64(-1)
            if upcoming < waiting:
                q0 = upcoming
                upcoming += 1
                i0, j0, o0 = np.uint64(queue[q0, 0]), np.uint64(queue[q0, 1]), np.uint64(queue[q0, 2])
                left0, at0 = queue[q0, 3], queue[q0, 5]
            elif q1 >= 0:  # the second lane goes on in the first one's place
                i0, j0, o0, left0, at0, q0 = i1, j1, o1, left1, at1, q1
                left1 = np.int64(0)
                q1 = np.int64(-1)
                continue
            else:
                return
        if left1 == 0:
            if q1 >= 0:
                keys[o1] = NO_KEY
                queue[q1, 6] = np.int64(o1) - queue[q1, 2]
            q1 = np.int64(-1)
            if upcoming < waiting:
                q1 = upcoming
                upcoming += 1
                i1, j1, o1 = np.uint64(queue[q1, 0]), np.uint64(queue[q1, 1]), np.uint64(queue[q1, 2])
                left1, at1 = queue[q1, 3], queue[q1, 5]
        if left1 > 0:
            steps = min(min(left0, left1), CHUNK)
            for n in range(np.uint64(steps)):
                a0 = keys[i0]
                b0 = keys[j0]
                a1 = keys[i1]
                b1 = keys[j1]
                right0 = np.uint64(b0 < a0)
                alone0 = np.uint64(b0 != a0)
                keys[o0] = min(a0, b0)
                code0[n] = right0 + TWO * alone0
                j0 += right0
                i0 += ONE - right0
                o0 += alone0
                right1 = np.uint64(b1 < a1)
                alone1 = np.uint64(b1 != a1)
                keys[o1] = min(a1, b1)
                code1[n] = right1 + TWO * alone1
                j1 += right1
                i1 += ONE - right1
                o1 += alone1
            left1 -= steps
            at1 = append_bits(bits, queue[q1, 4], at1, codes, LANE_1, steps)
        else:
            steps = min(left0, CHUNK)
            for n in range(np.uint64(steps)):
                a0 = keys[i0]
                b0 = keys[j0]
                right0 = np.uint64(b0 < a0)
                alone0 = np.uint64(b0 != a0)
                keys[o0] = min(a0, b0)
                code0[n] = right0 + TWO * alone0
                j0 += right0
                i0 += ONE - right0
                o0 += alone0
        left0 -= steps
        at0 = append_bits(bits, queue[q0, 4], at0, codes, LANE_0, steps)


@lean_kernel
def merge_round(
    layers, columns, row, slot, k, b_pointers, b_columns, slot_reloads, reload_pointers, reload_row, reload_column,
    first_rows, blocks, bits, node_word, taken, passed, out_row, out_column, arena, run, size, fill, cursor, queue,
    queued, codes, code0, code1,
):  # fmt: skip
    """Merge one round; return how many elements come out.

    Contract
    --------
    layers                : int                     of the tree; nodes are numbered 1 (root), 2i and 2i + 1 below i
    row, slot, k          : int32[elements]         from ``order_elements``
    slot_reloads          : int64[slots]            which reloaded stream a slot has, -1 for a leaf
    reload_pointers       : int64[reloads + 1]      of the streams in ``reload_row`` and ``reload_column``
    first_rows, blocks    : from ``cut_rows``
    bits                  : uint64[]                zero; written
    node_word             : int64[2**layers]        first word of a node's stream; 0: its right side is never used
    taken                 : int64[2**layers]        zero; written: elements each node takes
    passed                : int64[2**(layers + 1)]  zero; written: elements that enter each FIFO
    out_row, out_column   : int32[]                 written, sorted
    arena                 : uint32[(layers + 1) * (largest + 2**(layers + 1)) + 2]   scratch; ``largest`` is the most
                                                    work of a block
    run, size             : int64[2**(layers + 1)]  scratch; 0 where there is no slot
    fill                  : int64[slots]            scratch
    cursor                : int64[reloads + 1]      scratch, as ``reload_pointers``
    queue, queued         : int64[2**layers, 7], int64[2**layers]   scratch
    codes, code0, code1   : scratch of ``merge_queue``
    """
    leaves = np.int64(1) << layers
    slots = len(slot_reloads)
    out = np.int64(0)
    e0 = np.int64(0)
    for block in range(blocks):
        r0, r1 = first_rows[block], first_rows[block + 1]
        # The leaves' runs.
        e1 = e0
        for s in range(slots):
            size[leaves + s] = 0
        while e1 < len(row) and row[e1] < r1:
            size[leaves + slot[e1]] += b_pointers[k[e1] + 1] - b_pointers[k[e1]]
            e1 += 1
        used = np.int64(0)
        for s in range(slots):
            stream = slot_reloads[s]
            if stream >= 0:
                at = cursor[stream]
                while at < reload_pointers[stream + 1] and reload_row[at] < r1:
                    at += 1
                size[leaves + s] = at - cursor[stream]
            run[leaves + s] = fill[s] = used
            used += size[leaves + s] + 1
        if used == slots:
            e0 = e1
            continue
        for e in range(e0, e1):
            begin = b_pointers[k[e]]
            count = b_pointers[k[e] + 1] - begin
            to = fill[slot[e]]
            base = np.uint32((row[e] - r0) * columns)
            for n in range(count):
                arena[to + n] = base + np.uint32(b_columns[begin + n])
            fill[slot[e]] = to + count
        for s in range(slots):
            stream = slot_reloads[s]
            if stream >= 0:
                begin = cursor[stream]
                for n in range(size[leaves + s]):
                    base = np.uint32((reload_row[begin + n] - r0) * columns)
                    arena[fill[s] + n] = base + np.uint32(reload_column[begin + n])
                cursor[stream] = begin + size[leaves + s]
            arena[run[leaves + s] + size[leaves + s]] = NO_KEY
            passed[leaves + s] += size[leaves + s]
        e0 = e1
        # The tree, from its leaves to its root. A node with one side empty hands the other side on.
        for layer in range(layers - 1, -1, -1):
            waiting = np.int64(0)
            for node in range(np.int64(1) << layer, np.int64(2) << layer):
                left, right = size[2 * node], size[2 * node + 1]
                if left > 0 and right > 0:
                    queue[waiting, 0] = run[2 * node]
                    queue[waiting, 1] = run[2 * node + 1]
                    queue[waiting, 2] = used
                    queue[waiting, 3] = left + right
                    queue[waiting, 4] = node_word[node]
                    queue[waiting, 5] = taken[node]
                    queued[waiting] = node
                    run[node] = used
                    used += left + right + 1
                    waiting += 1
                else:
                    if left + right > 0 and node_word[node] > 0:
                        repeat_side(bits, node_word[node], taken[node], np.int64(right > 0), left + right)
                    run[node] = run[2 * node] if left > 0 else run[2 * node + 1]
                    size[node] = left + right
                    passed[node] += left + right
                taken[node] += left + right
            if waiting > 0:
                merge_queue(arena, queue, waiting, bits, codes, code0, code1)
            for q in range(waiting):
                size[queued[q]] = queue[q, 6]
                passed[queued[q]] += queue[q, 6]
        # The root's output.
        begin = run[1]
        i = r0
        base = np.int64(0)
        for n in range(size[1]):
            key = np.int64(arena[begin + n])
            while key - base >= columns:
                base += columns
                i += 1
            out_row[out + n] = i
            out_column[out + n] = key - base
        out += size[1]
    return out


@lean_kernel
def accumulate(a_pointers, a_columns, a_values, b_pointers, b_columns, b_values, c_pointers, c_columns, sums, c_values):
    """Add up the products of every element of C, in the order of A's elements: Gustavson's order, and scipy's.

    Contract
    --------
    sums     : float64[columns of C]   zero; scratch
    c_values : float64[nnz of C]       written
    """
    for i in range(len(a_pointers) - 1):
        for e in range(a_pointers[i], a_pointers[i + 1]):
            value = a_values[e]
            k = a_columns[e]
            for at in range(b_pointers[k], b_pointers[k + 1]):
                sums[b_columns[at]] += value * b_values[at]
        for at in range(c_pointers[i], c_pointers[i + 1]):
            column = c_columns[at]
            c_values[at] = sums[column]
            sums[column] = 0.0
