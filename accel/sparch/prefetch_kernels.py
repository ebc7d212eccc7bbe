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
from accel.jit import kernel

NOWHERE = -1
LISTED = -1  # a resident row without a known use
HELD = -2  # a row that is not in the buffer, or was used by one of the last elements
WORD = 64
ONE = np.uint64(1)


@kernel
def unlink(older, newer, row):
    """Take a row out of the list of rows without a known use."""
    newer[older[row]] = newer[row]
    older[newer[row]] = older[row]


@kernel
def append(older, newer, row):
    """Put a row at the young end of the list; the list's ends meet in its last index."""
    end = len(older) - 1
    older[row] = older[end]
    newer[row] = end
    newer[older[end]] = row
    older[end] = row


@kernel
def let_go(e, k, entered, following, last_user, resident, known, uses, older, newer):
    """Make the row of a past element replaceable, if no later one has used it; return the word of its next use."""
    row = k[e]
    if last_user[row] != e or resident[row] == 0:
        return 0
    upcoming = following[e]
    if upcoming == NOWHERE or upcoming >= entered:
        known[row] = LISTED
        append(older, newer, row)
        return 0
    known[row] = upcoming
    uses[upcoming >> 6] |= ONE << np.uint64(upcoming & 63)
    return upcoming >> 6


@kernel
def place_units(
    slot, k, b_pointers, line_elements, lines, look_ahead, distance, reuse, resident, older, newer, line_pointers,
    line_loader, line_user, following, seen, known, last_user, uses, unit_slot, unit_length, unit_begin, unit_next,
    unit_loader, unit_after, unit_last, first_unit, totals,
):  # fmt: skip
    """Walk a round's elements in order; write its units and what the buffer does for each.

    Contract
    --------
    slot, k        : int32[elements]
    distance       : int                  elements the prefetcher is ahead of the multipliers
    reuse          : int                  0: lines pass through the buffer and are never found again
    resident       : int32[rows of B]     lines of each row in the buffer; kept from round to round
    older, newer   : int32[rows of B + 1] list of resident rows without a known use, the last index both its ends
    line_pointers  : int64[rows of B + 1] first line of each row
    line_loader, line_user : int32[lines of B]   unit of this round that loaded a line, and that used it last; -1
    following      : int32[elements]      scratch: the next element that uses the same row
    seen, last_user : int32[rows of B]    scratch, -1
    known          : int32[rows of B]     scratch: LISTED for rows in the buffer, HELD for others; then known next uses
    uses           : uint64[]             scratch, 0; bit e: a row in the buffer is next used by element e
    unit_slot      : int32[units]         written: where the products go
    unit_length, unit_begin : int32[units]   written: elements, and the first one's index in B
    unit_next      : int32[units]         written: the next unit of the same slot, -1 for none
    unit_loader    : int32[units]         written: the unit that loads the line (itself: a miss), -1: an earlier round
    unit_after     : int32[units]         written: for a miss, the last user of what it replaces; -1 for none
    unit_last      : uint8[units]         written: 1 if it ends its element of A
    first_unit     : int32[slots]         written: each slot's first unit, -1 for none
    totals         : int64[3]             added to: elements found, elements missed; the last one, set: lines free
    """
    elements = len(k)
    for e in range(elements - 1, -1, -1):
        following[e] = seen[k[e]]
        seen[k[e]] = e
    passed_by = np.int64(NOWHERE)  # the last unit on a line that a long row passed through, which is free
    gone = np.int64(0)  # elements whose rows may be replaced, but for later uses
    farthest = np.int64(0)
    entered = np.int64(0)
    end = len(older) - 1
    free = totals[2]
    found = missed = 0
    u = 0
    for e in range(elements):
        row = k[e]
        begin = b_pointers[row]
        length = b_pointers[row + 1] - begin
        first_line = line_pointers[row]
        pieces = line_pointers[row + 1] - first_line
        if reuse == 0:
            for piece in range(pieces):
                unit_slot[u] = slot[e]
                unit_length[u] = min(line_elements, length - piece * line_elements)
                unit_begin[u] = begin + piece * line_elements
                unit_loader[u] = u
                unit_after[u] = u - lines if u >= lines else NOWHERE
                unit_last[u] = piece == pieces - 1
                u += 1
            missed += length
            continue
        while entered < elements and entered <= e + look_ahead:
            coming = k[entered]
            if known[coming] == LISTED:
                unlink(older, newer, coming)
                known[coming] = entered
                uses[entered >> 6] |= ONE << np.uint64(entered & 63)
                farthest = max(farthest, entered >> 6)
            entered += 1
        while gone <= e - distance:
            farthest = max(
                farthest, let_go(gone, k, entered, following, last_user, resident, known, uses, older, newer)
            )
            gone += 1
        here = kept = resident[row]
        if known[row] >= 0:
            uses[e >> 6] &= ~(ONE << np.uint64(e & 63))
        known[row] = HELD
        last_user[row] = e
        passing = False  # whether a row longer than the buffer passes through one line
        for piece in range(pieces):
            line = first_line + piece
            count = min(line_elements, length - piece * line_elements)
            unit_slot[u] = slot[e]
            unit_length[u] = count
            unit_begin[u] = begin + piece * line_elements
            unit_last[u] = piece == pieces - 1
            unit_after[u] = NOWHERE
            if piece < here:
                unit_loader[u] = line_loader[line]
                found += count
            else:
                unit_loader[u] = line_loader[line] = u
                missed += count
                victim = newer[end]
                while free == 0 and victim == end:
                    while farthest > 0 and uses[farthest] == 0:
                        farthest -= 1
                    if uses[farthest] != 0:
                        victim = k[farthest * WORD + highest_one(uses[farthest])]
                    elif gone < e:
                        last = let_go(gone, k, entered, following, last_user, resident, known, uses, older, newer)
                        farthest = max(farthest, last)
                        victim = newer[end]
                        gone += 1
                    else:
                        break
                if free > 0:
                    free -= 1
                    kept += 1
                    unit_after[u] = passed_by
                    passed_by = np.int64(NOWHERE)
                elif victim != end:
                    kept += 1
                    resident[victim] -= 1
                    unit_after[u] = line_user[line_pointers[victim] + resident[victim]]
                    if resident[victim] == 0:
                        if known[victim] == LISTED:
                            unlink(older, newer, victim)
                        else:
                            uses[known[victim] >> 6] &= ~(ONE << np.uint64(known[victim] & 63))
                        known[victim] = HELD
                else:
                    unit_after[u] = u - 1
                    kept -= not passing
                    passing = True
            line_user[line] = u
            u += 1
        if passing:
            free += 1
            passed_by = u - 1
        resident[row] = kept
    while reuse != 0 and gone < elements:
        let_go(gone, k, entered, following, last_user, resident, known, uses, older, newer)
        gone += 1
    totals[0] += found
    totals[1] += missed
    totals[2] = free
    first_unit[:] = NOWHERE
    for n in range(u - 1, -1, -1):
        unit_next[n] = first_unit[unit_slot[n]]
        first_unit[unit_slot[n]] = n


@kernel
def fetch_requests(
    position, addresses, pieces, element_bytes, interleave, burst, most, address, size, units, elements
):  # fmt: skip
    """Join a round's elements of A into memory requests, in order; return how many.

    Neighbours in memory share a request as far as one channel holds them. What an earlier request's last burst
    brought is not asked for again.

    Contract
    --------
    position, pieces        : int64[], int64[elements]   which element of A; units it makes, 0 for an empty row of B
    addresses               : int64[nnz of A]            place of each element of A in memory, in elements
    most                    : int                        elements of a request that make units
    address, size           : int64[elements]            written: first byte, bytes
    units, elements         : int64[elements]            written: how many there are up to and with this request
    """
    count = 0
    made = filled = 0
    end = np.int64(-1)  # first byte after the last element
    inside = 0  # elements of the current request that make units
    for e in range(len(position)):
        begin = np.int64(addresses[position[e]]) * element_bytes
        joins = count > 0 and begin == end
        if not joins or begin // interleave != address[count - 1] // interleave or inside == most:
            address[count] = max(begin, -(-end // burst) * burst) if joins else begin
            size[count] = 0
            count += 1
            inside = 0
        end = begin + element_bytes
        size[count - 1] = max(0, end - address[count - 1])
        if pieces[e] > 0:
            made += pieces[e]
            filled += 1
            inside += 1
        units[count - 1] = made
        elements[count - 1] = filled
    return count
