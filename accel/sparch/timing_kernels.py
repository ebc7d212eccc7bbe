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

from accel.bits import count_ones, lowest_one
from accel.jit import inlined_kernel, lean_kernel

# Elements of ``machine``.
(
    LAYERS, WIDTH, MERGE_LATENCY, NODE_CHOICE, FIFO_DEPTH, GROUP_COUNT, GROUP, MULTIPLY_LATENCY, ISSUE_ORDER,
    LOOK_AHEAD, FETCHERS, SPILL_FIFO, CHANNELS, BYTES_PER_CYCLE, LATENCY, ROW_MISS, BANKS, ROW_BYTES, INTERLEAVE, BURST,
    ELEMENT_BYTES, SPILL_BYTES, MACHINE_SIZE,
) = range(23)  # fmt: skip
ROUND_ROBIN, LOWEST, EMPTIEST = range(3)

# Where cycles go: what the multipliers waited for, the first that holds.
CAUSES = ("multiply", "write", "b_read", "merge", "partial_read", "a_read", "pipeline")
MULTIPLY, WRITE, B_READ, MERGE, PARTIAL_READ, A_READ, PIPELINE = range(7)
EDGE, STEADY, UNMEASURED = range(3)  # of a round: its beginning and end; what grows with its work; what is left out

# Elements of ``totals``.
COUNTERS = ("beats", "fires", "bypassed_elements", "refetched_elements", "refetched_a_elements")
BEATS, FIRES, BYPASSED, REFETCHED, REFETCHED_A = range(5)

# The first columns of ``memory``.
BUS_FREE, BURSTS, ROW_MISSES, MEMORY_STATE = range(4)

# Elements of a FIFO's record, and of the node whose output it is; records stand one after the other.
(
    COUNT,  # elements it holds
    USED,  # and those on their way into it, or out of the root's to memory
    COMING,  # elements that have not entered it
    DEPTH,
    NEED,  # elements of it in the window of the node it feeds
    TAKEN,  # elements the node has taken
    TOTAL,  # elements the node takes in all
    WORD,  # first word of the node's bits
    LEAVING,  # elements that leave the node with its window
    FROM,  # record of the FIFO its next element comes from
) = (np.uint64(n) for n in range(10))
RECORD_BITS = np.uint64(4)
RECORD = np.uint64(1) << RECORD_BITS
# Words of a layer's record in ``masks``, a bit for each node.
FULL, PART, ROOM, DRY = (np.uint64(n) for n in range(4))
MASK_BITS = np.uint64(2)
# Elements of a slot's record.
(
    HEAD,  # its next unit
    OFFSET,  # products of it that are done
    BYPASS_UNTIL,  # products of it that a bypass brings; 0: no bypass
    BYPASS_AT,  # when they are there
    RELOAD,  # the reloaded stream it is, -1 for a leaf
) = (np.uint64(n) for n in range(5))
SLOT_BITS = np.uint64(3)
# Elements of a reloaded stream's record.
(
    LEFT,  # elements that have not been asked for
    FIRST,  # where in its ring the oldest block on its way is
    WAITING,  # blocks on their way
) = (np.uint64(n) for n in range(3))
RELOAD_BITS = np.uint64(2)
# Elements of a merger's record.
(
    SERVED,  # the node it served last
    CHOSEN,  # the node it serves now, 0 for none
    DUE,  # when its oldest result enters a FIFO
    OLDEST,  # where in the merger's pipeline that is
    NEWEST,  # where the next result goes
) = (np.uint64(n) for n in range(5))
MERGER_BITS = np.uint64(3)
# Elements of a result in a merger's pipeline.
WHEN, WHITHER, AMOUNT = (np.uint64(n) for n in range(3))
RESULT_BITS = np.uint64(2)

# Elements of a unit's record, which ``prefetch_kernels.place_units`` describes.
UNIT_SLOT, UNIT_LENGTH, UNIT_BEGIN, UNIT_NEXT, UNIT_LOADER, UNIT_AFTER, UNIT_LAST, UNIT_A = (
    np.uint64(n) for n in range(8)
)
UNIT_SHIFT = 3
UNIT_BITS = np.uint64(UNIT_SHIFT)

NONE = np.int32(2**31 - 1)  # no unit: greater than every unit
NEVER = np.int64(2**62)
ZERO, ONE, TWO, SIX, LOW_SIX = (np.uint64(n) for n in (0, 1, 2, 6, 63))
WORD_BITS = np.uint64(64)
SMALL_LAYERS = 6  # whose nodes have their bits in one word each


@lean_kernel
def request(t, address, size, machine, memory):
    """Transfer bytes from time ``t`` on; return when the last has left the channel.

    Contract
    --------
    memory : int64[channels, MEMORY_STATE + 2 * banks]   when a channel is free; bursts and row misses so far; then, for
                                                         each bank, when it is free and the page it has open, -1: none
    """
    interleave, burst = machine[INTERLEAVE], machine[BURST]
    done = t
    last = address + size
    while address < last:
        block = address // interleave
        until = min(last, (block + 1) * interleave)
        channel = block % machine[CHANNELS]
        page = block // machine[CHANNELS] // (machine[ROW_BYTES] // interleave)
        bank = MEMORY_STATE + 2 * (page % machine[BANKS])
        bursts = (until - 1) // burst - address // burst + 1
        ready = max(t, memory[channel, bank])
        if memory[channel, bank + 1] != page:
            memory[channel, bank + 1] = page
            memory[channel, ROW_MISSES] += 1
            ready += machine[ROW_MISS]
        end = max(ready, memory[channel, BUS_FREE]) + -(-bursts * burst // machine[BYTES_PER_CYCLE])
        memory[channel, BUS_FREE] = memory[channel, bank] = end
        memory[channel, BURSTS] += bursts
        done = max(done, end)
        address = until
    return done


@inlined_kernel
def word_of(layer, node):
    """Return the record of ``masks`` in which a node's bits stand: one for each small layer, then 64 nodes each."""
    return np.uint64(layer) if layer < SMALL_LAYERS else np.uint64(SMALL_LAYERS - 1) + (node >> SIX)


@inlined_kernel
def set_bit(masks, word, kind, node, value):
    """Set or clear a node's bit."""
    shift = node & LOW_SIX
    at = (word << MASK_BITS) + kind
    masks[at] = (masks[at] & ~(ONE << shift)) | (np.uint64(value) << shift)


@inlined_kernel
def next_node(layer, last, masks):
    """Return what ``choose_node`` returns, in turn, for a layer whose nodes have their bits in one word."""
    at = np.uint64(layer) << MASK_BITS
    nodes = masks[at + FULL] & masks[at + ROOM]
    if nodes == ZERO:
        nodes = masks[at + PART] & masks[at + DRY] & masks[at + ROOM]
    later = nodes >> last >> ONE << ONE << last
    return lowest_one(later if later != ZERO else nodes) if nodes != ZERO else np.int64(0)


@lean_kernel
def choose_node(layer, last, choice, masks, fifos):
    """Return the node of a layer that its merger serves next, 0 if none can be served."""
    first = ONE << np.uint64(layer)
    for whole in (True, False):
        best = ZERO
        word = word_of(layer, first)
        while word <= word_of(layer, first + first - ONE):
            at = word << MASK_BITS
            able = masks[at + ROOM] & (masks[at + FULL] if whole else masks[at + PART] & masks[at + DRY])
            base = (word - np.uint64(SMALL_LAYERS - 1)) << SIX if layer >= SMALL_LAYERS else ZERO
            word += ONE
            if choice == ROUND_ROBIN and able != ZERO:
                if best == ZERO:
                    best = base + np.uint64(lowest_one(able))
                if last >= base + LOW_SIX:
                    continue
                if last >= base:
                    later = last - base + ONE
                    able = able >> later << later
                if able != ZERO:
                    return base + np.uint64(lowest_one(able))
            elif choice == LOWEST and able != ZERO:
                return base + np.uint64(lowest_one(able))
            while choice == EMPTIEST and able != ZERO:
                node = base + np.uint64(lowest_one(able))
                if best == ZERO or fifos[(node << RECORD_BITS) + COUNT] < fifos[(best << RECORD_BITS) + COUNT]:
                    best = node
                able &= able - ONE
        if best > ZERO:
            return best
    return ZERO


@inlined_kernel
def next_bits(bits, word, at, kind):
    """Return the next 64 bits of a kind, 0 (side) or 1 (leaves), after ``at`` elements of a node's stream."""
    place = word + (at >> SIX << ONE) + kind
    shift = at & LOW_SIX
    return (bits[place] >> shift) | ((bits[place + TWO] << ONE) << (LOW_SIX - shift))


@inlined_kernel
def look_at_merge(node, width, bits, fifos, masks, word):
    """Write what a node takes next: a full window, or the last elements; and whether that is there.

    Without branches, after which the compiler would count references to every array.
    """
    at = node << RECORD_BITS
    left = at << ONE
    right = left + RECORD
    taken = fifos[at + TAKEN]
    take = min(width, fifos[at + TOTAL] - taken)
    some = np.uint64(take > 0)
    mask = (~ZERO >> (WORD_BITS - np.uint64(max(take, 1)))) * some
    begin = np.uint64(fifos[at + WORD])
    where = np.uint64(taken) * np.uint64(begin > ZERO)  # at 0 stand bits for nodes that use their left side only
    side = next_bits(bits, begin, where, ZERO)
    from_right = count_ones(side & mask)
    fifos[left + NEED] = take - from_right
    fifos[right + NEED] = from_right
    fifos[at + LEAVING] = count_ones(next_bits(bits, begin, where, ONE) & mask)
    source = left + ((side & ONE) << RECORD_BITS)
    fifos[at + FROM] = np.int64(source)
    whole = (fifos[left + COUNT] >= take - from_right) & (fifos[right + COUNT] >= from_right)
    set_bit(masks, word, FULL, node, (take > 0) & whole)
    set_bit(masks, word, PART, node, (take > 0) & (fifos[source + COUNT] > 0))


@inlined_kernel
def fill(fifo, amount, word, fifos, masks):
    """Let elements enter a FIFO below the root; note what that means for the node it feeds."""
    at = fifo << RECORD_BITS
    count = fifos[at + COUNT] + amount
    fifos[at + COUNT] = count
    fifos[at + COMING] -= amount
    node = fifo >> ONE
    other = (fifo ^ ONE) << RECORD_BITS
    need, other_need = fifos[at + NEED], fifos[other + NEED]
    more = need + other_need > 0
    set_bit(masks, word, FULL, node, more & (count >= need) & (fifos[other + COUNT] >= other_need))
    source = np.uint64(fifos[(node << RECORD_BITS) + FROM])
    set_bit(masks, word, PART, node, more & (fifos[source + COUNT] > 0))


@lean_kernel
def part_of_window(node, bits, fifos):
    """Return how much of a node's window is there: elements from the left, from the right, and those that leave."""
    at = node << RECORD_BITS
    left = at << ONE
    right = left + RECORD
    begin = np.uint64(fifos[at + WORD])
    where = np.uint64(fifos[at + TAKEN]) * np.uint64(begin > ZERO)
    side = next_bits(bits, begin, where, ZERO)
    from_left = from_right = np.int64(0)
    for n in range(fifos[left + NEED] + fifos[right + NEED]):
        if (side >> np.uint64(n)) & ONE != ZERO:
            if from_right == fifos[right + COUNT]:
                break
            from_right += 1
        else:
            if from_left == fifos[left + COUNT]:
                break
            from_left += 1
    mask = ~ZERO >> (WORD_BITS - np.uint64(from_left + from_right))
    return from_left, from_right, count_ones(next_bits(bits, begin, where, ONE) & mask)


@lean_kernel
def run_round(
    t, machine, passed, bits, unit, a_base, b_base, request_address, request_size, request_units, request_elements,
    reload_slot, reload_address, out_address, out_bytes, marks, fifos, masks, mergers, pipes, able, slot_state, arrival,
    done, fetcher_free, a_arrival, reload_state, reload_at, write_end, write_count, memory, stack, totals,
):  # fmt: skip
    """Run one round from time ``t`` on; return the time it ends, -1 if it comes to a stop.

    Contract
    --------
    machine           : int64[MACHINE_SIZE]
    passed, bits      : from ``merge_kernels.merge_round``
    unit              : int32[units << UNIT_BITS], from ``prefetch_kernels.place_units``
    request_*         : from ``prefetch_kernels.fetch_requests``
    reload_slot, reload_address : int64[reloads]   the slot each reloaded stream feeds, its first byte
    marks             : int64[]               elements of the result that have come out of the tree when cycles begin to
                                              be measured, when they cease to be, and so on; the last is never reached
    fifos to write_count : the round's state, from ``timing_state.begin_round``
    stack             : int64[3, len(CAUSES)] added to: cycles before the first and after the last element of the
                                              result has come out of the tree; those between that are measured; others
    totals            : int64[len(COUNTERS)]  added to
    """
    layers, width, latency, choice = machine[LAYERS], machine[WIDTH], machine[MERGE_LATENCY], machine[NODE_CHOICE]
    group, look_ahead, fetchers = machine[GROUP], machine[LOOK_AHEAD], machine[FETCHERS]
    memory_latency, element_bytes, spill_bytes = machine[LATENCY], machine[ELEMENT_BYTES], machine[SPILL_BYTES]
    leaves = np.int64(1) << layers
    slots, units, requests, reloads = len(able), len(unit) >> UNIT_SHIFT, len(request_address), len(reload_slot)
    reload_ring, write_ring = reload_at.shape[1], len(write_end)
    out_block = max(1, machine[INTERLEAVE] // out_bytes)
    in_block = max(1, machine[INTERLEAVE] // spill_bytes)
    last_layer = layers - 1
    for layer in range(layers):
        for n in range(np.int64(1) << layer, np.int64(2) << layer):
            node = np.uint64(n)
            look_at_merge(node, width, bits, fifos, masks, word_of(layer, node))
    root = ONE << RECORD_BITS
    outputs = fifos[root + COMING]
    by_row = machine[ISSUE_ORDER] == 0
    simple = layers <= SMALL_LAYERS and choice == ROUND_ROBIN
    next_due = next_reload = NEVER
    current = NONE  # the least of ``able``
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
                leaf = np.uint64(leaves + reload_slot[r])
                stream = np.uint64(r) << RELOAD_BITS
                while reload_state[stream + WAITING] > 0 and reload_at[r, reload_state[stream + FIRST]] <= t:
                    n = min(in_block, fifos[(leaf << RECORD_BITS) + COMING])
                    fill(leaf, n, word_of(last_layer, leaf >> ONE), fifos, masks)
                    reload_state[stream + FIRST] = (reload_state[stream + FIRST] + 1) % reload_ring
                    reload_state[stream + WAITING] -= 1
                if reload_state[stream + WAITING] > 0:
                    next_reload = min(next_reload, reload_at[r, reload_state[stream + FIRST]])
        # 2. Merge tree.
        fired = False
        if next_due <= t:
            progress = True
            for layer in range(layers):
                merger = np.uint64(layer) << MERGER_BITS
                if mergers[merger + DUE] == t:
                    oldest = np.uint64(mergers[merger + OLDEST])
                    result = (np.uint64(layer * latency) + oldest) << RESULT_BITS
                    node = np.uint64(pipes[result + WHITHER])
                    pipes[result + WHEN] = NEVER
                    oldest = oldest + ONE if oldest + ONE < np.uint64(latency) else ZERO
                    mergers[merger + OLDEST] = np.int64(oldest)
                    mergers[merger + DUE] = pipes[((np.uint64(layer * latency) + oldest) << RESULT_BITS) + WHEN]
                    if layer > 0:
                        fill(node, pipes[result + AMOUNT], word_of(layer - 1, node >> ONE), fifos, masks)
                    else:
                        fifos[root + COUNT] += pipes[result + AMOUNT]
                        fifos[root + COMING] -= pipes[result + AMOUNT]
                        set_bit(masks, ZERO, DRY, ONE, fifos[root + COUNT] < out_block)
        for layer in range(layers):
            merger = np.uint64(layer) << MERGER_BITS
            served = np.uint64(mergers[merger + SERVED])
            if simple:
                mergers[merger + CHOSEN] = next_node(layer, served, masks)
            else:
                mergers[merger + CHOSEN] = np.int64(choose_node(layer, served, choice, masks, fifos))
        for layer in range(layers):
            merger = np.uint64(layer) << MERGER_BITS
            node = np.uint64(mergers[merger + CHOSEN])
            if node == ZERO:
                continue
            fired = True
            fires += 1
            mergers[merger + SERVED] = np.int64(node)
            at = node << RECORD_BITS
            left = at << ONE
            right = left + RECORD
            word = word_of(layer, node)
            from_left, from_right, leaving = fifos[left + NEED], fifos[right + NEED], fifos[at + LEAVING]
            if (masks[(word << MASK_BITS) + FULL] >> (node & LOW_SIX)) & ONE == ZERO:
                from_left, from_right, leaving = part_of_window(node, bits, fifos)
            newest = np.uint64(mergers[merger + NEWEST])
            result = (np.uint64(layer * latency) + newest) << RESULT_BITS
            pipes[result + WHEN] = t + latency
            pipes[result + WHITHER] = np.int64(node)
            pipes[result + AMOUNT] = leaving
            mergers[merger + NEWEST] = np.int64(newest + ONE if newest + ONE < np.uint64(latency) else ZERO)
            mergers[merger + DUE] = min(mergers[merger + DUE], t + latency)
            left_used, right_used = fifos[left + USED] - from_left, fifos[right + USED] - from_right
            fifos[left + COUNT] -= from_left
            fifos[left + USED] = left_used
            fifos[right + COUNT] -= from_right
            fifos[right + USED] = right_used
            used = fifos[at + USED] + leaving
            fifos[at + USED] = used
            fifos[at + TAKEN] += from_left + from_right
            look_at_merge(node, width, bits, fifos, masks, word)
            set_bit(masks, word, ROOM, node, fifos[at + DEPTH] - used >= width)
            if layer > 0:
                set_bit(masks, word, DRY, node, used == 0)
            child = node << ONE
            if layer < last_layer:
                below = word_of(layer + 1, child)
                set_bit(masks, below, ROOM, child, fifos[left + DEPTH] - left_used >= width)
                set_bit(masks, below, ROOM, child + ONE, fifos[right + DEPTH] - right_used >= width)
                set_bit(masks, below, DRY, child, left_used == 0)
                set_bit(masks, below, DRY, child + ONE, right_used == 0)
            else:
                for s in range(child - np.uint64(leaves), min(child - np.uint64(leaves) + TWO, np.uint64(slots))):
                    slot = s << SLOT_BITS
                    leaf = (s + np.uint64(leaves)) << RECORD_BITS
                    if slot_state[slot + RELOAD] >= 0:
                        reload_try = True
                    elif able[s] == NONE and fifos[leaf + DEPTH] - fifos[leaf + USED] >= group:
                        if slot_state[slot + HEAD] < prefetched:
                            able[s] = slot_state[slot + HEAD]
                            current = able[s] if current == NONE or (by_row and able[s] < current) else current
        if fired or next_due <= t:
            next_due = NEVER
            for layer in range(layers):
                next_due = min(next_due, mergers[(np.uint64(layer) << MERGER_BITS) + DUE])
        # 3. Writer.
        while writes > 0 and write_end[writes_first] <= t:
            fifos[root + USED] -= write_count[writes_first]
            writes_first = (writes_first + 1) % write_ring
            writes -= 1
            progress = True
            set_bit(masks, ZERO, ROOM, ONE, fifos[root + DEPTH] - fifos[root + USED] >= width)
        if fifos[root + COUNT] >= out_block or (fifos[root + COMING] == 0 and fifos[root + COUNT] > 0):
            n = min(out_block, fifos[root + COUNT])
            last = (writes_first + writes) % write_ring
            write_end[last] = request(t, out_address + written * machine[INTERLEAVE], n * out_bytes, machine, memory)
            write_count[last] = n
            writes += 1
            written += 1
            fifos[root + COUNT] -= n
            set_bit(masks, ZERO, DRY, ONE, fifos[root + COUNT] < out_block)
            progress = True
        # 4. Multipliers.
        issued = False
        wake = NEVER
        for _ in range(machine[GROUP_COUNT]):
            if current == NONE:
                break
            u = np.uint64(current)
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
            leaf = np.uint64(leaves) + s
            at = leaf << RECORD_BITS
            offset = slot_state[slot + OFFSET]
            beat = min(group, until - offset)
            offset += beat
            used = fifos[at + USED] + beat
            fifos[at + USED] = used
            fill(leaf, beat, word_of(last_layer, leaf >> ONE), fifos, masks)
            if offset == until:
                slot_state[slot + BYPASS_UNTIL] = 0
            if offset == length:
                done[u] = 1
                elements_done += unit[at_unit + UNIT_LAST]
                upcoming_unit = unit[at_unit + UNIT_NEXT]
                slot_state[slot + HEAD] = upcoming_unit if upcoming_unit >= 0 else NONE
                offset = 0
            slot_state[slot + OFFSET] = offset
            upcoming = np.int64(NONE)
            has_room = fifos[at + DEPTH] - used >= group
            if slot_state[slot + BYPASS_UNTIL] > 0 or (has_room and slot_state[slot + HEAD] < prefetched):
                upcoming = slot_state[slot + HEAD]
            if upcoming != able[s] and by_row:
                able[s] = upcoming
                current = NONE
                for n in range(np.uint64(slots)):
                    current = min(current, able[n])
            elif not by_row:
                able[s] = upcoming
                current = NONE
                for n in range(s + ONE, s + ONE + np.uint64(slots)):
                    if current == NONE:
                        current = able[n % np.uint64(slots)]
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
                arrival[prefetched] = memory_latency + request(
                    t, b_base + unit[at_unit + UNIT_BEGIN] * element_bytes, unit[at_unit + UNIT_LENGTH] * element_bytes,
                    machine, memory,
                )  # fmt: skip
                fetcher_free[fetcher] = arrival[prefetched]
                fetcher = (fetcher + 1) % fetchers
            s = np.uint64(unit[at_unit + UNIT_SLOT])
            if slot_state[(s << SLOT_BITS) + HEAD] == prefetched and able[s] == NONE:
                at = (np.uint64(leaves) + s) << RECORD_BITS
                if fifos[at + DEPTH] - fifos[at + USED] >= group:
                    able[s] = prefetched
                    current = able[s] if current == NONE or (by_row and able[s] < current) else current
            prefetched += 1
            steps += 1
            progress = True
        if prefetched == fetched and got == asked and asked < requests:
            blocked = blocked or request_elements[asked] - elements_done > look_ahead
        if blocked and current >= prefetched:
            best = np.int64(NONE)
            for n in range(slots):
                slot = np.uint64(n) << SLOT_BITS
                head = slot_state[slot + HEAD]
                if head < best and head >= prefetched and slot_state[slot + BYPASS_UNTIL] == 0:
                    if fifos[(np.uint64(leaves + n) << RECORD_BITS) + COUNT] == 0:
                        best = head
            if best != NONE and fetcher_free[fetcher] > t:
                fetcher_busy = True
            elif best != NONE:
                at_unit = np.uint64(best) << UNIT_BITS
                s = np.uint64(unit[at_unit + UNIT_SLOT])
                slot = s << SLOT_BITS
                at = (np.uint64(leaves) + s) << RECORD_BITS
                begin = t
                if best >= fetched:
                    totals[REFETCHED_A] += 1
                    begin = memory_latency + request(
                        t, a_base + unit[at_unit + UNIT_A] * element_bytes, element_bytes, machine, memory
                    )
                offset = slot_state[slot + OFFSET]
                n = min(unit[at_unit + UNIT_LENGTH] - offset, fifos[at + DEPTH] - fifos[at + USED])
                from_b = b_base + (unit[at_unit + UNIT_BEGIN] + offset) * element_bytes
                arrives = memory_latency + request(begin, from_b, n * element_bytes, machine, memory)
                slot_state[slot + BYPASS_UNTIL] = offset + n
                slot_state[slot + BYPASS_AT] = arrives
                totals[BYPASSED] += n
                if unit[at_unit + UNIT_LOADER] == best:
                    totals[REFETCHED] += n
                fetcher_free[fetcher] = arrives
                fetcher = (fetcher + 1) % fetchers
                able[s] = best
                current = able[s] if current == NONE or (by_row and able[s] < current) else current
                progress = True
        # 6. Column fetcher.
        if asked < requests and request_elements[asked] - elements_done <= look_ahead:
            a_arrival[asked] = t  # if the request before has brought it
            if request_size[asked] > 0:
                a_arrival[asked] = memory_latency + request(
                    t, a_base + request_address[asked], request_size[asked], machine, memory
                )
            asked += 1
            progress = True
        # 7. Reloader.
        if reload_try:
            reload_try = False
            for turn in range(reloads):
                r = (reload_turn + turn) % reloads
                leaf = leaves + reload_slot[r]
                at = np.uint64(leaf) << RECORD_BITS
                stream = np.uint64(r) << RELOAD_BITS
                n = min(in_block, reload_state[stream + LEFT])
                if n > 0 and fifos[at + DEPTH] - fifos[at + USED] >= n:
                    last = (reload_state[stream + FIRST] + reload_state[stream + WAITING]) % reload_ring
                    blocks = (passed[leaf] - reload_state[stream + LEFT]) // in_block
                    arrives = memory_latency + request(
                        t, reload_address[r] + blocks * machine[INTERLEAVE], n * spill_bytes, machine, memory
                    )
                    reload_at[r, last] = arrives
                    if reload_state[stream + WAITING] == 0:
                        next_reload = min(next_reload, arrives)
                    reload_state[stream + WAITING] += 1
                    reload_state[stream + LEFT] -= n
                    fifos[at + USED] += n
                    reload_turn = r + 1
                    reload_try = True
                    progress = True
                    break
        # The end, or the next cycle in which something can happen.
        everything = fifos[root + COMING] == 0 and fifos[root + COUNT] == 0 and writes == 0
        if everything and prefetched == units and got == requests:
            totals[BEATS] += beats
            totals[FIRES] += fires
            stack[EDGE, PIPELINE] += machine[MULTIPLY_LATENCY]
            return t + machine[MULTIPLY_LATENCY]
        upcoming_t = t + 1
        if not (progress or issued or fired):
            upcoming_t = min(min(wake, next_reload), next_due)
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
        elif fifos[root + COMING] == 0 or masks[ROOM] & TWO == ZERO:
            cause = WRITE
        elif current != NONE or fetcher_busy:
            cause = B_READ
        elif fired:
            cause = MERGE
        elif next_reload != NEVER:
            cause = PARTIAL_READ
        elif got < asked:
            cause = A_READ
        while outputs - fifos[root + COMING] >= marks[marked]:
            marked += 1
        phase = EDGE
        if 0 < fifos[root + COMING] < outputs:
            phase = STEADY if marked & 1 else UNMEASURED
        stack[phase, cause] += upcoming_t - t
        t = upcoming_t
