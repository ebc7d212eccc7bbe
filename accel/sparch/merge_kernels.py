"""SpArch's merge tree without time: what every merger takes from its left and from its right, and what comes out.

A merger's behaviour does not depend on when its inputs come, only on their order. So the tree is merged once per
matrix, and what a cycle has to know of a merger is kept in two bits for every element it takes:

- *side*: 0 if the element came from the left, 1 if from the right;
- *leaves*: 0 if the next element has the same place in the matrix: its value waits in the adder and leaves with the
  next one. 1 otherwise.

The bits of a node lie in one stream, words of the first and of the second kind in turn. Left goes before right where
both have the same place.

No element is compared with another. The places of the result, in order, are numbered; they come from a bit map of a
row's columns. Every stream is a bit map of the places it has, its node's the union of two, and what its merger does
follows for 32 places at once from gathering and spreading bits.

Source: Zhang et al., "SpArch", HPCA 2020: comparator-array merger, adder slice and zero eliminator.
"""

import numpy as np

from accel.bits import count_ones, fetch_early, gather_bits, lowest_one, spread_bits
from accel.jit import inlined_kernel, lean_kernel

LEFT_ONLY_WORDS = 4  # at the beginning of a round's bits: all from the left, all leave
BLOCK_PLACES = 1024  # merged at a time, if rows allow: their bit maps stay in the first-level cache
ROWS_AHEAD = np.uint64(8)  # of B that are brought into the cache before they are needed
ZERO, ONE, TWO, SIX, HALF, LOW_SIX = (np.uint64(n) for n in (0, 1, 2, 6, 32, 63))
EVEN, ODD = np.uint64(0x5555555555555555), np.uint64(0xAAAAAAAAAAAAAAAA)


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
    for i in range(len(done) - 1):
        done[i] = total
        first = np.uint64(pointers[i])
        for e in range(first, np.uint64(pointers[i + 1])):
            k = np.uint64(element_k[e])
            column = e - first if condensed else k
            weights[column] += lengths[k]
            sizes[column] += 1
            total += lengths[k]
    done[len(done) - 1] = total


@lean_kernel
def number_leaves(pointers, element_k, condensed, column_leaves, element_leaves):
    """Give every element of A the leaf of its column.

    Contract
    --------
    pointers, element_k, condensed : as in ``weigh_columns``
    column_leaves  : int32[columns]     a column's leaf, -1 for none
    element_leaves : int32[nnz of A]    written
    """
    for i in range(len(pointers) - 1):
        first = np.uint64(pointers[i])
        for e in range(first, np.uint64(pointers[i + 1])):
            element_leaves[e] = column_leaves[e - first if condensed else np.uint64(element_k[e])]


@lean_kernel
def order_elements(
    pointers, element_k, b_pointers, element_leaves, leaf_round, leaf_slot, begin, row, slot, position, k
):  # fmt: skip
    """Sort A's elements by round, each in the order of A; return the most products of a row.

    Contract
    --------
    element_leaves        : int32[nnz of A]      the leaf of each element of A, -1 for none
    leaf_round, leaf_slot : int64[leaves], int32[leaves]
    begin                 : int64[rounds]        the first element of each round; written: after its last one
    row, slot, position, k : int32[nnz of A]     written: row of A, slot, which element of A, row of B
    """
    most = np.int64(0)
    for i in range(len(pointers) - 1):
        products = np.int64(0)
        for e in range(np.uint64(pointers[i]), np.uint64(pointers[i + 1])):
            leaf = np.int64(element_leaves[e])
            if leaf >= 0:
                n = np.uint64(leaf_round[np.uint64(leaf)])
                to = np.uint64(begin[n])
                begin[n] += 1
                row[to] = i
                slot[to] = leaf_slot[np.uint64(leaf)]
                position[to] = e
                b_row = np.uint64(element_k[e])
                k[to] = b_row
                products += b_pointers[b_row + ONE] - b_pointers[b_row]
        most = max(most, products)
    return most


@lean_kernel
def repeat_side(bits, word, at, side, count):
    """Append ``count`` elements that all come from one side, and all leave, to a node's bits, zero so far."""
    while count > 0:
        place = word + 2 * (at >> 6)
        shift = at & 63
        here = min(count, 64 - shift)
        ones = ~np.uint64(0) >> np.uint64(64 - here) << np.uint64(shift)
        bits[place] |= ones * np.uint64(side)
        bits[place + 1] |= ones
        at += here
        count -= here


@inlined_kernel
def cut_columns(columns, begin, end, slot, pieces, piece_word, piece_bits, piece_slot, seen, touched, top):
    """Note the columns of a stream's row, 64 at a time; return how many pieces there are then.

    Contract
    --------
    columns               : int32[]       rising from ``begin`` to ``end``
    piece_word, _bits, _slot : uint64[]   appended to from ``pieces`` on: which 64 columns, those that are there, slot
    seen, touched, top    : uint64[]      columns that are in the row, words of ``seen`` with some, words of ``touched``
    """
    at = np.uint64(begin)
    last = np.uint64(end)
    while at < last:
        column = np.uint64(columns[at])
        word = column >> SIX
        some = ONE << (column & LOW_SIX)
        at += ONE
        while at < last and np.uint64(columns[at]) >> SIX == word:
            some |= ONE << (np.uint64(columns[at]) & LOW_SIX)
            at += ONE
        piece_word[pieces] = word
        piece_bits[pieces] = some
        piece_slot[pieces] = slot
        pieces += ONE
        seen[word] |= some
        touched[word >> SIX] |= ONE << (word & LOW_SIX)
        top[word >> SIX >> SIX] |= ONE << ((word >> SIX) & LOW_SIX)
    return pieces


@inlined_kernel
def number_columns(place, out, seen, touched, top, words, first_place, out_columns):
    """Give a row's columns numbers from ``place`` on and put them out from ``out`` on; return its words, and its end.

    Contract
    --------
    touched, top : zero afterwards
    words        : uint64[]            written: the words of ``seen`` that are not zero
    first_place  : uint64[]            written for these: the number of the first column
    """
    count = ZERO
    for n in range(np.uint64(len(top))):
        groups = top[n]
        top[n] = ZERO
        while groups != ZERO:
            group = (n << SIX) + np.uint64(lowest_one(groups))
            groups &= groups - ONE
            some = touched[group]
            touched[group] = ZERO
            while some != ZERO:
                word = (group << SIX) + np.uint64(lowest_one(some))
                some &= some - ONE
                words[count] = word
                count += ONE
                first_place[word] = place
                here = seen[word]
                place += np.uint64(count_ones(here))
                while here != ZERO:
                    out_columns[out] = (word << SIX) + np.uint64(lowest_one(here))
                    here &= here - ONE
                    out += ONE
    return count, out


@inlined_kernel
def what_merger_does(left, right):
    """Return the bits of kinds *side* and *leaves* of up to 32 places, and how many elements they are for."""
    twice = spread_bits(right, EVEN)
    there = spread_bits(left, EVEN) | spread_bits(right, ODD)
    return gather_bits(ODD, there), gather_bits(~twice, there), np.uint64(count_ones(there))


@lean_kernel
def merge_maps(maps, left, right, out, words, bits, word, at):
    """Merge two streams; write the bit map of the result and append to the node's bits; return how many come out.

    Contract
    --------
    maps             : uint64[]   bit maps; ``left``, ``right`` and ``out`` are where three begin, of so many words. The
                                  first two are zero afterwards.
    bits, word, at   : the node's stream begins at ``bits[word]`` and has bits for ``at`` elements
    """
    place = np.uint64(word) + (np.uint64(at) >> SIX << ONE)
    shift = np.uint64(at) & LOW_SIX
    sides, leaves = bits[place], bits[place + ONE]
    count = ZERO
    for n in range(words):
        in_left, in_right = maps[left + n], maps[right + n]
        maps[left + n] = maps[right + n] = ZERO
        both = in_left | in_right
        maps[out + n] = both
        if both == ZERO:
            continue
        here = np.uint64(count_ones(both))
        count += here
        in_left, in_right = gather_bits(in_left, both), gather_bits(in_right, both)
        while True:
            new_sides, new_leaves, more = what_merger_does(in_left, in_right)
            sides |= new_sides << shift
            leaves |= new_leaves << shift
            bits[place], bits[place + ONE] = sides, leaves
            rest = LOW_SIX - shift
            shift += more
            if shift > LOW_SIX:
                sides, leaves = new_sides >> ONE >> rest, new_leaves >> ONE >> rest
                shift &= LOW_SIX
                place += TWO
            if here <= HALF:
                break
            here -= HALF
            in_left >>= HALF
            in_right >>= HALF
    bits[place], bits[place + ONE] = sides, leaves
    return count


@lean_kernel
def merge_block(leaves, words, stride, maps, stream, size, bits, node_word, passed):
    """Merge what the slots' bit maps have, from the leaves of the tree to its root.

    Contract
    --------
    words, stride : int                        of every bit map that are used, and from one to the next
    maps          : uint64[2 * leaves * stride]  slots' bit maps; zero afterwards
    stream        : uint64[2 * leaves]         scratch: whose bit map a FIFO's stream has
    size          : int64[2 * leaves]          of slots, elements they have; zero afterwards
    passed        : int64[2 * leaves]          added to
    """
    for slot in range(leaves, 2 * leaves):
        stream[slot] = slot
        passed[slot] += size[slot]
    for node in range(leaves - 1, 0, -1):
        left, right = 2 * node, 2 * node + 1
        before = passed[left] + passed[right] - size[left] - size[right]
        if size[left] > 0 and size[right] > 0:
            stream[node] = node
            size[node] = np.int64(merge_maps(
                maps, stream[left] * stride, stream[right] * stride, np.uint64(node) * stride, words, bits,
                node_word[node], before,
            ))  # fmt: skip
        else:  # what one side has is handed on
            stream[node] = stream[left] if size[left] > 0 else stream[right]
            size[node] = size[left] + size[right]
            if size[node] > 0 and node_word[node] > 0:
                repeat_side(bits, node_word[node], before, np.int64(size[right] > 0), size[node])
        size[left] = size[right] = 0
        passed[node] += size[node]
    size[1] = 0
    for n in range(words):
        maps[stream[1] * stride + n] = ZERO


@lean_kernel
def merge_round(
    leaves, first_row, row, slot, k, b_pointers, b_columns, reload_slot, reload_pointers, reload_columns, bits,
    node_word, passed, pointers, columns, piece_word, piece_bits, piece_slot, seen, touched, top, words, first_place,
    maps, stream, size,
):  # fmt: skip
    """Merge one round; return how many elements come out.

    Contract
    --------
    leaves                : int                     slots of the tree; node 1 is the root, 2i and 2i + 1 are below i
    first_row             : int                     of the rows that are merged
    row, slot, k          : int32[elements]         from ``order_elements``
    reload_slot           : int64[reloads]          the slot of each stream that was read back
    reload_pointers       : int64[reloads, rows + 1]   where its rows begin in ``reload_columns``
    bits                  : uint64[]                zero; written
    node_word             : int64[leaves]           first word of a node's stream; 0: its right side is never used
    passed                : int64[2 * leaves]       zero; written: elements that enter each FIFO
    pointers, columns     : int64[rows + 1], int32[]   written: the result
    piece_word to size    : scratch, zero; see above. Pieces, and words, are at most the products of a row.
    """
    stride = np.uint64(len(maps) // (2 * leaves))
    out = place = ZERO
    e, elements, first_slot = ZERO, np.uint64(len(row)), np.uint64(leaves)
    for i in range(len(pointers) - 1):
        pieces = ZERO
        while e < elements and row[e] == first_row + i:
            fetch_early(b_columns, np.uint64(b_pointers[np.uint64(k[min(e + ROWS_AHEAD, elements - ONE)])]))
            b_row, its_slot = np.uint64(k[e]), np.uint64(slot[e])
            begin, end = b_pointers[b_row], b_pointers[b_row + ONE]
            size[first_slot + its_slot] += end - begin
            pieces = cut_columns(
                b_columns, begin, end, its_slot, pieces, piece_word, piece_bits, piece_slot, seen, touched, top
            )
            e += ONE
        for r in range(len(reload_slot)):
            begin, end = reload_pointers[r, i], reload_pointers[r, i + 1]
            size[leaves + reload_slot[r]] += end - begin
            pieces = cut_columns(
                reload_columns, begin, end, np.uint64(reload_slot[r]), pieces, piece_word, piece_bits, piece_slot, seen,
                touched, top,
            )  # fmt: skip
        if pieces > ZERO:
            count, end_out = number_columns(place, out, seen, touched, top, words, first_place, columns)
            for n in range(pieces):
                word = piece_word[n]
                some = gather_bits(piece_bits[n], seen[word])
                first = first_place[word]
                at = (first_slot + piece_slot[n]) * stride + (first >> SIX)
                shift = first & LOW_SIX
                maps[at] |= some << shift
                maps[at + ONE] |= some >> ONE >> (LOW_SIX - shift)
            for n in range(count):
                seen[words[n]] = ZERO
            place += end_out - out
            out = end_out
        pointers[i + 1] = out
        if place >= BLOCK_PLACES:
            merge_block(leaves, (place + LOW_SIX) >> SIX, stride, maps, stream, size, bits, node_word, passed)
            place = ZERO
    merge_block(leaves, (place + LOW_SIX) >> SIX, stride, maps, stream, size, bits, node_word, passed)
    return np.int64(out)


@lean_kernel
def accumulate(a_pointers, a_columns, a_values, b_pointers, b_columns, b_values, c_pointers, c_columns, sums, c_values):
    """Add up the products of every element of C, in the order of A's elements: Gustavson's order, and scipy's.

    Contract
    --------
    sums     : float64[columns of C]   zero; scratch
    c_values : float64[nnz of C]       written
    """
    last = np.uint64(max(len(a_columns), 1) - 1)
    for i in range(len(a_pointers) - 1):
        for e in range(np.uint64(a_pointers[i]), np.uint64(a_pointers[i + 1])):
            soon = np.uint64(b_pointers[np.uint64(a_columns[min(e + ROWS_AHEAD, last)])])
            fetch_early(b_columns, soon)
            fetch_early(b_values, soon)
            value = a_values[e]
            k = np.uint64(a_columns[e])
            for at in range(np.uint64(b_pointers[k]), np.uint64(b_pointers[k + ONE])):
                sums[np.uint64(b_columns[at])] += value * b_values[at]
        for at in range(np.uint64(c_pointers[i]), np.uint64(c_pointers[i + 1])):
            column = np.uint64(c_columns[at])
            c_values[at] = sums[column]
            sums[column] = 0.0
