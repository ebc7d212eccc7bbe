"""SpArch cycle by cycle: one round of the machine, from the first read of A to the last write of its result.

In every cycle, in this order:

1. *Arrivals.* Elements of A, and blocks of partial matrices that are read back, whose time has come.
2. *Merge tree*. What the mergers took ``merge_latency`` cycles ago enters their FIFOs. Then every layer's merger, all
   at once, serves one node whose output FIFO has room for ``merge_width`` elements: one whose input FIFOs hold the next
   ``merge_width`` elements of its merge (or the last ones), or else one whose next element is there and whose output
   FIFO is empty (the root's: holds less than a block), of which it takes what is there. That nothing can still come
   before them is known because A is walked row by row.
3. *Writer.* Blocks that were written leave the root's FIFO; one full block (or the last one) goes to memory.
4. *Multipliers.* Each group in turn takes one beat, up to ``group`` products of one unit, for the first unit in row
   order among the leaves with room for a beat whose next unit is prefetched or bypassed. If its line is not there
   yet, the group waits for it.
5. *Prefetcher.* Takes units in row order while A is there: one found passes; one missed needs a fetcher, in turn, and
   that the last user of the line it replaces was multiplied. If it waits for such a user, or for A while the
   look-ahead FIFO is full, and no prefetched unit can be multiplied, then a *bypass* reads for the first starving leaf
   (it is empty) as much of its next unit as its FIFO can take, past the buffer.
6. *Column fetcher.* One request for A, if the look-ahead FIFO can hold what it brings.
7. *Reloader.* One block of one partial matrix, in turn, that the leaf's FIFO can hold.

The machine cannot stop. Take the first element, in the order of the result, that has not left the tree. If it is in
a FIFO, its node can be served. If not, its leaf is empty; it has room, and its unit is prefetched, will be, or is
bypassed.

Memory: channels transfer in the order of requests; a request to another row of a bank waits for precharge and
activation, which other banks' transfers hide. Cycles without any event are skipped.

Source: Zhang et al., "SpArch", HPCA 2020; the issue order, the bypass and the memory are Sextant's, see
docs/sparch.md.
"""

import numpy as np

from accel.bits import lowest_one
from accel.jit import inlined_kernel, lean_kernel
from accel.sparch.memory_kernels import request
from accel.sparch.tree_kernels import (
    ALL,
    COMING,
    COUNT,
    LEAF_NODE,
    LIMIT,
    LOW_SIX,
    NEXT_DUE,
    ONE,
    SIX,
    TWO,
    USED,
    ZERO,
    add,
    advance,
    held,
    look_everywhere,
    take,
)

# Elements of ``machine``.
(
    LAYERS, WIDTH, MERGE_LATENCY, NODE_CHOICE, FIFO_DEPTH, GROUP_COUNT, GROUP, MULTIPLY_LATENCY, ISSUE_ORDER,
    LOOK_AHEAD, FETCHERS, SPILL_FIFO, LATENCY, INTERLEAVE, ELEMENT_BYTES, SPILL_BYTES, MACHINE_SIZE,
) = range(17)  # fmt: skip

# Where cycles go: what the multipliers waited for, the first that holds.
CAUSES = ("multiply", "write", "b_read", "merge", "partial_read", "a_read", "pipeline")
MULTIPLY, WRITE, B_READ, MERGE, PARTIAL_READ, A_READ, PIPELINE = range(7)
EDGE, STEADY, UNMEASURED = range(3)  # of a round: its beginning and end; what grows with its work; what is left out

# Elements of ``totals``.
COUNTERS = ("beats", "fires", "bypassed_elements", "refetched_elements", "refetched_a_elements")
BEATS, FIRES, BYPASSED, REFETCHED, REFETCHED_A = range(5)

# Elements of a slot's record.
(
    HEAD,  # its next unit
    OFFSET,  # products of it that are done
    BYPASS_UNTIL,  # products of it that a bypass brings; 0: no bypass
    BYPASS_AT,  # when they are there
    ABLE,  # 1: its next unit can be multiplied but for its data
    WAITS,  # what room in its FIFO is for: FOR_BEAT, FOR_BLOCK, or 0
) = (np.uint64(n) for n in range(6))
SLOT_SHIFT = 3
SLOT_BITS = np.uint64(SLOT_SHIFT)
FOR_BEAT, FOR_BLOCK = 1, 2  # a prefetched unit, or a reloaded stream
# Elements of a reloaded stream's record.
(
    LEFT,  # elements that have not been asked for
    LACKING,  # and those that have not entered their FIFO
    FIRST,  # where in its ring the oldest block on its way is
    WAITING,  # blocks on their way
) = (np.uint64(n) for n in range(4))
RELOAD_BITS = np.uint64(2)

# Elements of a unit's record, which ``prefetch_kernels.place_units`` describes.
UNIT_SLOT, UNIT_LENGTH, UNIT_BEGIN, UNIT_NEXT, UNIT_LOADER, UNIT_AFTER, UNIT_LAST, UNIT_A = (
    np.uint64(n) for n in range(8)
)
UNIT_SHIFT = 3
UNIT_BITS = np.uint64(UNIT_SHIFT)

NONE = np.int64(2**31 - 1)  # no unit: greater than every unit
NEVER = np.int64(2**62)


@inlined_kernel
def add_key(key, able, able_words):
    """Note that a unit can be multiplied, under a number that says when it is its turn."""
    able[key >> SIX] |= ONE << (key & LOW_SIX)
    able_words[key >> SIX >> SIX] |= ONE << ((key >> SIX) & LOW_SIX)


@inlined_kernel
def drop_key(key, able, able_words):
    """Note that a unit can not be multiplied, or was."""
    word = able[key >> SIX] & ~(ONE << (key & LOW_SIX))
    able[key >> SIX] = word
    if word == ZERO:
        able_words[key >> SIX >> SIX] &= ~(ONE << ((key >> SIX) & LOW_SIX))


@inlined_kernel
def next_key(key, able, able_words):
    """Return the first noted number from one on, NONE if there is none."""
    word = key >> SIX
    later = able[word] & (ALL << (key & LOW_SIX))
    if later == ZERO:
        word += ONE
        group = word >> SIX
        words = able_words[group] & (ALL << (word & LOW_SIX))
        while words == ZERO:
            group += ONE
            if group == np.uint64(len(able_words)):
                return NONE
            words = able_words[group]
        word = (group << SIX) + np.uint64(lowest_one(words))
        later = able[word]
    return np.int64((word << SIX) + np.uint64(lowest_one(later)))


@inlined_kernel
def sooner(key, current, by_row, fed, slots):
    """Return which of two numbers comes first: units in order; or slots, in turn after the one fed last."""
    if current == NONE:
        return key
    if by_row:
        return min(key, current)
    return key if (key - fed - 1) % slots < (current - fed - 1) % slots else current


@inlined_kernel
def fits_beat(fifo, beat_room, fifos):
    """Return whether a FIFO has room for a beat, which is ``beat_room`` above its limit."""
    return held(fifo, USED, fifos) <= held(fifo, LIMIT, fifos) + beat_room


@lean_kernel
def prefetched_can_be_multiplied(prefetched, slots, slot_state):
    """Return whether a slot's next unit is prefetched and lacks nothing but its data."""
    for n in range(slots):
        slot = np.uint64(n) << SLOT_BITS
        if slot_state[slot + ABLE] > 0 and slot_state[slot + HEAD] < prefetched:
            return True
    return False


@lean_kernel
def unit_to_bypass(prefetched, leaves, slots, fifos, slot_state):
    """Return the first unit, of those next in an empty FIFO, that is not prefetched and has no bypass."""
    best = NONE
    for n in range(slots):
        slot = np.uint64(n) << SLOT_BITS
        head = slot_state[slot + HEAD]
        if prefetched <= head < best and slot_state[slot + BYPASS_UNTIL] == 0:
            if held(np.uint64(leaves + n), COUNT, fifos) == ZERO:
                best = head
    return best


@lean_kernel
def run_round(
    t, machine, outputs, bits, unit, a_base, b_base, request_address, request_size, request_units, request_elements,
    reload_slot, reload_elements, reload_address, out_address, out_bytes, marks, fifos, tree, able, able_words,
    slot_state, arrival, done, fetcher_free, a_arrival, reload_state, reload_at, write_end, write_count, memory, stack,
    totals,
):  # fmt: skip
    """Run one round from time ``t`` on; return the time it ends, -1 if it comes to a stop.

    Contract
    --------
    machine           : int64[MACHINE_SIZE]
    outputs           : int                   elements of the result
    bits              : from ``merge_kernels.merge_round``
    unit              : int32[units << UNIT_BITS], from ``prefetch_kernels.place_units``
    request_*         : from ``prefetch_kernels.fetch_requests``
    reload_slot, reload_elements, reload_address : int64[reloads]   the slot each reloaded stream feeds, its elements,
                                              its first byte
    marks             : int64[]               elements of the result that have come out of the tree when cycles begin to
                                              be measured, when they cease to be, and so on; the last is never reached
    fifos to write_count : the round's state, from ``timing_state.begin_round``
    memory            : uint64[], from ``memory_kernels.begin_memory``
    stack             : int64[3, len(CAUSES)] added to: cycles before the first and after the last element of the
                                              result has come out of the tree; those between that are measured; others
    totals            : int64[len(COUNTERS)]  added to
    """
    group, look_ahead, fetchers = machine[GROUP], machine[LOOK_AHEAD], machine[FETCHERS]
    memory_latency, element_bytes, spill_bytes = machine[LATENCY], machine[ELEMENT_BYTES], machine[SPILL_BYTES]
    width = np.uint64(machine[WIDTH])
    leaves = ONE << np.uint64(machine[LAYERS])
    slots, units = len(slot_state) >> SLOT_SHIFT, len(unit) >> UNIT_SHIFT
    requests, reloads = len(request_address), len(reload_slot)
    reload_ring, write_ring = reload_at.shape[1], len(write_end)
    out_block = max(1, machine[INTERLEAVE] // out_bytes)
    in_block = max(1, machine[INTERLEAVE] // spill_bytes)
    beat_room = np.uint64(machine[WIDTH] - group)  # above the limit for what a merger puts out; wraps around
    look_everywhere(bits, fifos, tree)
    by_row = machine[ISSUE_ORDER] == 0
    next_reload = NEVER
    current = NONE  # the first of ``able``
    able_slots, fed = np.int64(0), np.int64(-1)  # in ``able``; the slot fed last
    elements_done = marked = prefetched = fetcher = np.int64(0)
    asked = got = fetched = np.int64(0)
    reload_turn = np.int64(0)
    reload_try = reloads > 0
    writes_first = writes = written = np.int64(0)
    beats = fires = np.int64(0)

    while True:
        progress = False
        # 1. Arrivals.
        while got < asked and a_arrival[got] <= t:
            fetched = request_units[got]
            got += 1
            progress = True
        if t >= next_reload:
            progress = True
            next_reload = NEVER
            for r in range(reloads):
                leaf = leaves + np.uint64(reload_slot[r])
                stream = np.uint64(r) << RELOAD_BITS
                while reload_state[stream + WAITING] > 0 and reload_at[r, reload_state[stream + FIRST]] <= t:
                    n = min(in_block, reload_state[stream + LACKING])
                    reload_state[stream + LACKING] -= n
                    add(leaf, COUNT, np.uint64(n), fifos)
                    reload_state[stream + FIRST] = (reload_state[stream + FIRST] + 1) % reload_ring
                    reload_state[stream + WAITING] -= 1
                if reload_state[stream + WAITING] > 0:
                    next_reload = min(next_reload, reload_at[r, reload_state[stream + FIRST]])
        # 2. Merge tree.
        progress |= tree[NEXT_DUE] <= np.uint64(t)
        fired = advance(np.uint64(t), bits, fifos, tree)
        fires += fired
        if tree[LEAF_NODE] != ZERO:
            leaf = tree[LEAF_NODE] << ONE
            for fifo in range(leaf, min(leaf + TWO, leaves + np.uint64(slots))):
                s = np.int64(fifo - leaves)
                slot = np.uint64(s) << SLOT_BITS
                if slot_state[slot + WAITS] == FOR_BLOCK:
                    reload_try = True
                elif slot_state[slot + WAITS] == FOR_BEAT:
                    if fits_beat(fifo, beat_room, fifos):
                        slot_state[slot + WAITS] = 0
                        slot_state[slot + ABLE] = 1
                        key = slot_state[slot + HEAD] if by_row else s
                        add_key(np.uint64(key), able, able_words)
                        able_slots += 1
                        current = sooner(key, current, by_row, fed, slots)
        # 3. Writer.
        while writes > 0 and write_end[writes_first] <= t:
            take(ONE, USED, np.uint64(write_count[writes_first]), fifos)
            writes_first = (writes_first + 1) % write_ring
            writes -= 1
            progress = True
        root_count, coming = np.int64(held(ONE, COUNT, fifos)), np.int64(tree[COMING])
        if root_count >= out_block or (coming == 0 and root_count > 0):
            n = min(out_block, root_count)
            last = (writes_first + writes) % write_ring
            write_end[last] = request(t, out_address + written * machine[INTERLEAVE], n * out_bytes, memory)
            write_count[last] = n
            writes += 1
            written += 1
            root_count -= n
            take(ONE, COUNT, np.uint64(n), fifos)
            progress = True
        # 4. Multipliers.
        issued = False
        wake = NEVER
        for _ in range(machine[GROUP_COUNT]):
            if current == NONE:
                break
            u = np.uint64(current if by_row else slot_state[(np.uint64(current) << SLOT_BITS) + HEAD])
            at_unit = u << UNIT_BITS
            s = np.uint64(unit[at_unit + UNIT_SLOT])
            slot = s << SLOT_BITS
            length = np.int64(unit[at_unit + UNIT_LENGTH])
            until = length
            if slot_state[slot + BYPASS_UNTIL] > 0:
                until = slot_state[slot + BYPASS_UNTIL]
                ready = slot_state[slot + BYPASS_AT]
            else:
                loader = unit[at_unit + UNIT_LOADER]
                ready = arrival[np.uint64(loader)] if loader >= 0 else np.int64(0)
            if ready > t:
                wake = ready
                break
            issued = True
            beats += 1
            leaf = leaves + s
            offset = slot_state[slot + OFFSET]
            beat = min(group, until - offset)
            offset += beat
            add(leaf, USED, np.uint64(beat), fifos)
            add(leaf, COUNT, np.uint64(beat), fifos)
            bypassed = slot_state[slot + BYPASS_UNTIL] > 0 and offset != until
            slot_state[slot + BYPASS_UNTIL] *= bypassed
            ends = offset == length
            if ends:
                done[u] = 1
                elements_done += unit[at_unit + UNIT_LAST]
                upcoming_unit = np.int64(unit[at_unit + UNIT_NEXT])
                slot_state[slot + HEAD] = upcoming_unit if upcoming_unit >= 0 else NONE
                offset = 0
            slot_state[slot + OFFSET] = offset
            roomy = fits_beat(leaf, beat_room, fifos)
            to_come = slot_state[slot + HEAD] < prefetched
            stays = bypassed or (roomy and to_come)
            slot_state[slot + WAITS] = FOR_BEAT if to_come and not stays else 0
            if by_row:
                if ends or not stays:
                    drop_key(u, able, able_words)
                    able_slots += stays - 1
                    slot_state[slot + ABLE] = stays
                    if stays:
                        add_key(np.uint64(slot_state[slot + HEAD]), able, able_words)
                    current = next_key(u, able, able_words) if able_slots > 0 else NONE
            else:
                fed = np.int64(s)
                if not stays:
                    drop_key(s, able, able_words)
                    able_slots -= 1
                    slot_state[slot + ABLE] = 0
                current = NONE
                if able_slots > 0:
                    current = next_key(s + ONE, able, able_words)
                    if current == NONE:
                        current = next_key(ZERO, able, able_words)
        # 5. Prefetcher.
        blocked = False
        fetcher_busy = False
        steps = 0
        while prefetched < fetched and steps < fetchers:
            at_unit = np.uint64(prefetched) << UNIT_BITS
            if unit[at_unit + UNIT_LOADER] == prefetched:
                after = unit[at_unit + UNIT_AFTER]
                if after >= 0 and done[np.uint64(after)] == 0:
                    blocked = True
                    break
                if fetcher_free[fetcher] > t:
                    fetcher_busy = True
                    break
                arrives = memory_latency + request(
                    t, b_base + unit[at_unit + UNIT_BEGIN] * element_bytes, unit[at_unit + UNIT_LENGTH] * element_bytes,
                    memory,
                )  # fmt: skip
                arrival[np.uint64(prefetched)] = arrives
                fetcher_free[fetcher] = arrives
                fetcher = fetcher + 1 if fetcher + 1 < fetchers else np.int64(0)
            s = np.int64(unit[at_unit + UNIT_SLOT])
            slot = np.uint64(s) << SLOT_BITS
            if slot_state[slot + HEAD] == prefetched and slot_state[slot + ABLE] == 0:
                fifo = leaves + np.uint64(s)
                if fits_beat(fifo, beat_room, fifos):
                    slot_state[slot + ABLE] = 1
                    key = prefetched if by_row else s
                    add_key(np.uint64(key), able, able_words)
                    able_slots += 1
                    current = sooner(key, current, by_row, fed, slots)
                else:
                    slot_state[slot + WAITS] = FOR_BEAT
            prefetched += 1
            steps += 1
            progress = True
        if prefetched == fetched and got == asked and asked < requests:
            blocked = blocked or request_elements[asked] - elements_done > look_ahead
        if by_row:
            blocked = blocked and current >= prefetched
        elif blocked:
            blocked = not prefetched_can_be_multiplied(prefetched, slots, slot_state)
        if blocked:
            best = unit_to_bypass(prefetched, np.int64(leaves), slots, fifos, slot_state)
            if best != NONE and fetcher_free[fetcher] > t:
                fetcher_busy = True
            elif best != NONE:
                at_unit = np.uint64(best) << UNIT_BITS
                s = np.int64(unit[at_unit + UNIT_SLOT])
                slot = np.uint64(s) << SLOT_BITS
                fifo = leaves + np.uint64(s)
                begin = t
                if best >= fetched:
                    totals[REFETCHED_A] += 1
                    begin = memory_latency + request(
                        t, a_base + unit[at_unit + UNIT_A] * element_bytes, element_bytes, memory
                    )
                offset = slot_state[slot + OFFSET]
                empty = np.int64(held(fifo, LIMIT, fifos) + width - held(fifo, USED, fifos))
                n = min(unit[at_unit + UNIT_LENGTH] - offset, empty)
                from_b = b_base + (unit[at_unit + UNIT_BEGIN] + offset) * element_bytes
                arrives = memory_latency + request(begin, from_b, n * element_bytes, memory)
                slot_state[slot + BYPASS_UNTIL] = offset + n
                slot_state[slot + BYPASS_AT] = arrives
                totals[BYPASSED] += n
                if unit[at_unit + UNIT_LOADER] == best:
                    totals[REFETCHED] += n
                fetcher_free[fetcher] = arrives
                fetcher = fetcher + 1 if fetcher + 1 < fetchers else np.int64(0)
                slot_state[slot + ABLE] = 1
                key = best if by_row else s
                add_key(np.uint64(key), able, able_words)
                able_slots += 1
                current = sooner(key, current, by_row, fed, slots)
                progress = True
        # 6. Column fetcher.
        if asked < requests and request_elements[asked] - elements_done <= look_ahead:
            a_arrival[asked] = t  # if the request before has brought it
            if request_size[asked] > 0:
                a_arrival[asked] = memory_latency + request(
                    t, a_base + request_address[asked], request_size[asked], memory
                )
            asked += 1
            progress = True
        # 7. Reloader.
        if reload_try:
            reload_try = False
            for turn in range(reloads):
                r = (reload_turn + turn) % reloads
                fifo = leaves + np.uint64(reload_slot[r])
                stream = np.uint64(r) << RELOAD_BITS
                n = min(in_block, reload_state[stream + LEFT])
                if n > 0 and held(fifo, USED, fifos) + np.uint64(n) <= held(fifo, LIMIT, fifos) + width:
                    last = (reload_state[stream + FIRST] + reload_state[stream + WAITING]) % reload_ring
                    blocks = (reload_elements[r] - reload_state[stream + LEFT]) // in_block
                    arrives = memory_latency + request(
                        t, reload_address[r] + blocks * machine[INTERLEAVE], n * spill_bytes, memory
                    )
                    reload_at[r, last] = arrives
                    if reload_state[stream + WAITING] == 0:
                        next_reload = min(next_reload, arrives)
                    reload_state[stream + WAITING] += 1
                    reload_state[stream + LEFT] -= n
                    add(fifo, USED, np.uint64(n), fifos)
                    reload_turn = r + 1
                    reload_try = True
                    progress = True
                    break
        # The end, or the next cycle in which something can happen.
        everything = coming == 0 and root_count == 0 and writes == 0
        if everything and prefetched == units and got == requests:
            totals[BEATS] += beats
            totals[FIRES] += fires
            stack[EDGE, PIPELINE] += machine[MULTIPLY_LATENCY]
            return t + machine[MULTIPLY_LATENCY]
        upcoming_t = t + 1
        if not (progress or issued or fired > 0):
            upcoming_t = min(min(wake, next_reload), np.int64(tree[NEXT_DUE]))
            if got < asked:
                upcoming_t = min(upcoming_t, a_arrival[got])
            if fetcher_busy:
                upcoming_t = min(upcoming_t, fetcher_free[fetcher])
            if writes > 0:
                upcoming_t = min(upcoming_t, write_end[writes_first])
            if upcoming_t == NEVER:
                return np.int64(-1)
        cause = PIPELINE
        if issued:
            cause = MULTIPLY
        elif coming == 0 or held(ONE, USED, fifos) > held(ONE, LIMIT, fifos):
            cause = WRITE
        elif current != NONE or fetcher_busy:
            cause = B_READ
        elif fired > 0:
            cause = MERGE
        elif next_reload != NEVER:
            cause = PARTIAL_READ
        elif got < asked:
            cause = A_READ
        while outputs - coming >= marks[marked]:
            marked += 1
        phase = EDGE
        if 0 < coming < outputs:
            phase = STEADY if marked & 1 else UNMEASURED
        stack[phase, cause] += upcoming_t - t
        t = upcoming_t
