"""SpArch's row prefetcher without time: which lines of B are found in the buffer, and what makes room for the others.

The prefetcher takes A's elements in the order of the look-ahead FIFO, some way ahead of the multipliers. It always
replaces the line whose row is used farthest in the future, as far as the FIFO shows; a row without a known use goes
first, the one used longest ago before others. A row that one of the last ``distance`` elements uses counts as still
to be multiplied, and goes only if there is nothing else, the oldest first. Of a row, the last line goes first: what
is left of it is its beginning. None of this depends on when things happen, so it is decided beforehand, and the timing
only waits: a line is replaced after its last user was multiplied.

A *unit* is the part of a row of B that lies on one line, for one element of A.

Source: Zhang et al., "SpArch", HPCA 2020: distance list builder and row prefetcher. The rule for rows without a known
use and for parts of rows is Sextant's.
"""

import numpy as np

from accel.bits import highest_one
from accel.jit import inlined_kernel, lean_kernel
from accel.sparch.timing_kernels import (
    UNIT_A,
    UNIT_AFTER,
    UNIT_BEGIN,
    UNIT_BITS,
    UNIT_LAST,
    UNIT_LENGTH,
    UNIT_LOADER,
    UNIT_NEXT,
    UNIT_SLOT,
)

NOWHERE = -1
LISTED = -1  # a resident row without a known use
HELD = -2  # a row that is not in the buffer, or was used by one of the last elements
WORD = 64
# Elements of the record of a row of B. One more record stands behind the last row's: both ends of the list of rows
# without a known use, and where the rows end.
(
    RESIDENT,  # its lines in the buffer
    OLDER,  # its neighbours in the list
    NEWER,
    KNOWN,  # LISTED, HELD, or the element that is known to use it next
    LAST_USER,  # the element of this round that used it last, -1 for none
    UPCOMING,  # while elements are walked backwards, the last one that used it
    FIRST_LINE,
    BEGIN,  # of its elements
) = (np.uint64(n) for n in range(8))
ROW_SHIFT = 3
ROW_BITS = np.uint64(ROW_SHIFT)
RECORD = np.uint64(1 << ROW_SHIFT)
# Elements of a line's record: the units of this round that loaded it, and that used it last; -1 for none.
LOADED_BY, USED_BY = (np.uint64(n) for n in range(2))
LINE_SHIFT = 1
LINE_BITS = np.uint64(LINE_SHIFT)
ZERO, ONE, SIX, LOW_SIX = (np.uint64(n) for n in (0, 1, 6, 63))


@inlined_kernel
def unlink(rows, row):
    """Take a row out of the list of rows without a known use."""
    older, newer = rows[(row << ROW_BITS) + OLDER], rows[(row << ROW_BITS) + NEWER]
    rows[(np.uint64(older) << ROW_BITS) + NEWER] = newer
    rows[(np.uint64(newer) << ROW_BITS) + OLDER] = older


@inlined_kernel
def last_use(uses, word):
    """Return the last of the next uses in a word that has some."""
    return (word << SIX) + np.uint64(highest_one(uses[word]))


@inlined_kernel
def let_go(e, k, entered, following, rows, end, uses):
    """Make the row of a past element replaceable, if no later one has used it; return the word of its next use.

    The youngest end of the list is before its last record, ``end``.
    """
    row = np.uint64(k[e])
    at = row << ROW_BITS
    if rows[at + LAST_USER] != e or rows[at + RESIDENT] == 0:
        return ZERO
    upcoming = following[e]
    if upcoming == NOWHERE or upcoming >= entered:
        rows[at + KNOWN] = LISTED
        last = rows[(end << ROW_BITS) + OLDER]
        rows[at + OLDER] = last
        rows[at + NEWER] = end
        rows[(np.uint64(last) << ROW_BITS) + NEWER] = row
        rows[(end << ROW_BITS) + OLDER] = row
        return ZERO
    rows[at + KNOWN] = upcoming
    uses[np.uint64(upcoming) >> SIX] |= ONE << (np.uint64(upcoming) & LOW_SIX)
    return np.uint64(upcoming) >> SIX


@lean_kernel
def let_go_early(e, k, entered, following, rows, end, uses):
    """Do what ``let_go`` does, where it is rare."""
    return let_go(e, k, entered, following, rows, end, uses)


@lean_kernel
def place_units(
    slot, k, position, addresses, line_elements, lines, look_ahead, distance, reuse, rows, line, following, uses, unit,
    first_unit, last_unit, totals,
):  # fmt: skip
    """Walk a round's elements in order; write its units and what the buffer does for each.

    Contract
    --------
    slot, k    : int32[elements]
    position, addresses : int32[elements], int32[nnz of A]   which element of A; where each lies, in elements
    distance   : int                           elements the prefetcher is ahead of the multipliers
    reuse      : int                           0: lines pass through the buffer and are never found again
    rows       : int32[(rows of B + 1) << ROW_SHIFT]   kept from round to round, but for:
        KNOWN                                  LISTED for rows in the buffer, HELD for others
        LAST_USER, UPCOMING                    -1
    line       : int32[lines of B << LINE_SHIFT]       scratch, -1
    following  : int32[elements]               scratch: the next element that uses the same row
    uses       : uint64[]                      scratch, 0; bit e: a row in the buffer is next used by element e
    unit       : int32[units << UNIT_SHIFT]    written, a record for each unit:
        UNIT_SLOT                 where the products go
        UNIT_LENGTH, UNIT_BEGIN   elements, and the first one's index in B
        UNIT_NEXT                 the next unit of the same slot, -1 for none
        UNIT_LOADER               the unit that loads the line (itself: a miss), -1: an earlier round
        UNIT_AFTER                for a miss, the last user of what it replaces; -1 for none
        UNIT_LAST                 1 if it ends its element of A
        UNIT_A                    that element's place
    first_unit, last_unit : int32[slots]       -1; written: each slot's first unit and its last one, -1 for none
    totals     : int64[3]                      added to: elements found, elements missed; the last one, set: lines free
    """
    elements = len(k)
    end = np.uint64((len(rows) >> ROW_SHIFT) - 1)
    oldest = (end << ROW_BITS) + NEWER
    for n in range(elements):
        e = np.uint64(elements - 1 - n)
        at = (np.uint64(k[e]) << ROW_BITS) + UPCOMING
        following[e] = rows[at]
        rows[at] = e
    passed_by = np.int64(NOWHERE)  # the last unit on a line that a long row passed through, which is free
    gone = np.int64(0)  # elements whose rows may be replaced, but for later uses
    farthest = ZERO
    entered = np.int64(0)
    free = totals[2]
    found = missed = u = np.int64(0)
    for e in range(elements):
        row, feeds = np.uint64(k[np.uint64(e)]), np.uint64(slot[np.uint64(e)])
        at = row << ROW_BITS
        begin = np.int64(rows[at + BEGIN])
        length = rows[at + RECORD + BEGIN] - begin
        first_line = np.int64(rows[at + FIRST_LINE])
        pieces = rows[at + RECORD + FIRST_LINE] - first_line
        while reuse != 0 and entered < elements and entered <= e + look_ahead:
            coming = np.uint64(k[np.uint64(entered)])
            if rows[(coming << ROW_BITS) + KNOWN] == LISTED:
                unlink(rows, coming)
                rows[(coming << ROW_BITS) + KNOWN] = entered
                word = np.uint64(entered) >> SIX
                uses[word] |= ONE << (np.uint64(entered) & LOW_SIX)
                farthest = max(farthest, word)
            entered += 1
        while reuse != 0 and gone <= e - distance:
            farthest = max(farthest, let_go(gone, k, entered, following, rows, end, uses))
            gone += 1
        here = kept = np.int64(rows[at + RESIDENT]) * reuse
        if rows[at + KNOWN] >= 0:
            uses[np.uint64(e) >> SIX] &= ~(ONE << (np.uint64(e) & LOW_SIX))
        rows[at + KNOWN] = HELD
        rows[at + LAST_USER] = e
        passing = False  # whether a row longer than the buffer passes through one line
        for piece in range(pieces):
            count = min(line_elements, length - piece * line_elements)
            this = np.uint64(u) << UNIT_BITS
            its_line = np.uint64(first_line + piece) << LINE_BITS
            loader = u
            after = np.int64(NOWHERE)
            if piece < here:
                loader = np.int64(line[its_line + LOADED_BY])
                found += count
            elif reuse == 0:
                missed += count
                after = u - lines if u >= lines else after
            else:
                line[its_line + LOADED_BY] = u
                missed += count
                victim = np.uint64(rows[oldest])
                while free == 0 and victim == end:
                    while farthest > ZERO and uses[farthest] == ZERO:
                        farthest -= ONE
                    if uses[farthest] != ZERO:
                        victim = np.uint64(k[last_use(uses, farthest)])
                    elif gone < e:
                        farthest = max(farthest, let_go_early(gone, k, entered, following, rows, end, uses))
                        victim = np.uint64(rows[oldest])
                        gone += 1
                    else:
                        break
                if free > 0:
                    free -= 1
                    kept += 1
                    after = passed_by
                    passed_by = np.int64(NOWHERE)
                elif victim != end:
                    kept += 1
                    out = victim << ROW_BITS
                    left = rows[out + RESIDENT] - 1
                    rows[out + RESIDENT] = left
                    after = np.int64(line[(np.uint64(rows[out + FIRST_LINE] + left) << LINE_BITS) + USED_BY])
                    if left == 0:
                        known = rows[out + KNOWN]
                        if known == LISTED:
                            unlink(rows, victim)
                        else:
                            uses[np.uint64(known) >> SIX] &= ~(ONE << (np.uint64(known) & LOW_SIX))
                        rows[out + KNOWN] = HELD
                else:
                    after = u - 1
                    kept -= not passing
                    passing = True
            line[its_line + USED_BY] = u
            unit[this + UNIT_SLOT] = feeds
            unit[this + UNIT_NEXT] = NOWHERE
            before = np.int64(last_unit[feeds])
            if before == NOWHERE:
                first_unit[feeds] = u
            else:
                unit[(np.uint64(before) << UNIT_BITS) + UNIT_NEXT] = u
            last_unit[feeds] = u
            unit[this + UNIT_LENGTH] = count
            unit[this + UNIT_BEGIN] = begin + piece * line_elements
            unit[this + UNIT_LOADER] = loader
            unit[this + UNIT_AFTER] = after
            unit[this + UNIT_LAST] = piece == pieces - 1
            unit[this + UNIT_A] = addresses[np.uint64(position[np.uint64(e)])]
            u += 1
        if passing:
            free += 1
            passed_by = u - 1
        if reuse != 0:
            rows[at + RESIDENT] = kept
    while reuse != 0 and gone < elements:
        let_go_early(gone, k, entered, following, rows, end, uses)
        gone += 1
    totals[0] += found
    totals[1] += missed
    totals[2] = free


@lean_kernel
def fetch_requests(
    position, addresses, k, pieces, element_bytes, interleave, burst, most, address, size, units, elements
):  # fmt: skip
    """Join a round's elements of A into memory requests, in order; return how many.

    Neighbours in memory share a request as far as one channel holds them. What an earlier request's last burst
    brought is not asked for again.

    Contract
    --------
    position, k             : int32[elements]            which element of A; the row of B it multiplies
    addresses               : int32[nnz of A]            place of each element of A in memory, in elements
    pieces                  : int32[rows of B]           units that a row makes, 0 for an empty one
    most                    : int                        elements of a request that make units
    address, size           : int64[elements]            written: first byte, bytes
    units, elements         : int64[elements]            written: how many there are up to and with this request
    """
    count = first = np.int64(0)
    made = filled = np.int64(0)
    end = block = np.int64(-1)  # first byte after the last element; of the block the request begins in
    for e in range(np.uint64(len(position))):
        begin = np.int64(addresses[np.uint64(position[e])]) * element_bytes
        follows = begin == end
        if not follows or not block <= begin < block + interleave or filled - first == most:
            last, count = np.uint64(count - 1), count + 1
            if count > 1:
                size[last], units[last], elements[last] = max(0, end - address[last]), made, filled
            address[last + ONE] = max(begin, -(-end // burst) * burst) if follows else begin
            block = address[last + ONE] // interleave * interleave
            first = filled
        end = begin + element_bytes
        more = pieces[np.uint64(k[e])]
        made += more
        filled += more > 0
    if count > 0:
        last = np.uint64(count - 1)
        size[last], units[last], elements[last] = max(0, end - address[last]), made, filled
    return count
