"""SpArch cycle by cycle: one round of the machine, from the first read of A to the last write of its result.

In every cycle, in this order:

1. *Arrivals.* Elements of A, and blocks of partial matrices that are read back, whose time has come.
2. *Merge tree*. What the mergers took ``merge_latency`` cycles ago enters their FIFOs. Then every layer's merger, all at
   once, serves one node whose output FIFO has room for ``merge_width`` elements: one whose input FIFOs hold the next
   ``merge_width`` elements of its merge (or the last ones), or else one whose next element is there and whose output FIFO
   is empty (the root's: holds less than a block), of which it takes what is there. That nothing can still come before
   them is known because A is walked row by row.
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
from accel.jit import inlined_kernel, kernel

# Elements of ``machine``.
(
    LAYERS, WIDTH, MERGE_LATENCY, NODE_CHOICE, FIFO_DEPTH, GROUP_COUNT, GROUP, MULTIPLY_LATENCY, ISSUE_ORDER, LOOK_AHEAD,
    FETCHERS, SPILL_FIFO, CHANNELS, BYTES_PER_CYCLE, LATENCY, ROW_MISS, BANKS, ROW_BYTES, INTERLEAVE, BURST,
    ELEMENT_BYTES, SPILL_BYTES, MACHINE_SIZE,
) = range(23)  # fmt: skip
ROUND_ROBIN, LOWEST, EMPTIEST = range(3)

# Where cycles go.
CAUSES = ("multiply", "merge", "write", "b_read", "partial_read", "a_read", "pipeline")
MULTIPLY, MERGE, WRITE, B_READ, PARTIAL_READ, A_READ, PIPELINE = range(7)

# Elements of ``totals``.
COUNTERS = ("beats", "fires", "bypassed_elements", "refetched_elements", "refetched_a_elements")
BEATS, FIRES, BYPASSED, REFETCHED, REFETCHED_A = range(5)

# The first columns of ``memory``.
BUS_FREE, BURSTS, ROW_MISSES, MEMORY_STATE = range(4)

NONE = np.int32(2**31 - 1)  # no unit: greater than every unit
NEVER = np.int64(2**62)
ONE = np.uint64(1)
WORD_BITS = 64


@kernel
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
    """Return the word in which a node's bits stand: one for each of the small layers, 64 nodes a word below."""
    return layer if layer < 6 else 5 + (node >> 6)


@kernel
def choose_node(layer, last, choice, full, part, room, dry, count):
    """Return the node of a layer that its merger serves next, 0 if none can be served."""
    first = np.int64(1) << layer
    for whole in (True, False):
        best = np.int64(0)
        for word in range(word_of(layer, first), word_of(layer, 2 * first - 1) + 1):
            able = room[word] & (full[word] if whole else part[word] & dry[word])
            base = 64 * (word - 5) if layer >= 6 else 0
            if choice == ROUND_ROBIN and able != 0:
                if best == 0:
                    best = base + lowest_one(able)
                later = last - base + 1
                if later >= 64:
                    continue
                if later > 0:
                    able = able >> np.uint64(later) << np.uint64(later)
                if able != 0:
                    return base + lowest_one(able)
            elif choice == LOWEST and able != 0:
                return base + lowest_one(able)
            while choice == EMPTIEST and able != 0:
                node = base + lowest_one(able)
                if best == 0 or count[node] < count[best]:
                    best = node
                able &= able - ONE
        if best > 0:
            return best
    return np.int64(0)


@inlined_kernel
def set_bit(words, word, node, value):
    """Set or clear a node's bit."""
    shift = np.uint64(node & 63)
    words[word] = (words[word] & ~(ONE << shift)) | (np.uint64(value) << shift)


@inlined_kernel
def next_bits(bits, word, at, kind):
    """Return the next 64 bits of a kind, 0 (side) or 1 (leaves), after ``at`` elements of a node's stream."""
    place = np.uint64(word + 2 * (at >> 6) + kind)
    shift = np.uint64(at & 63)
    return (bits[place] >> shift) | ((bits[place + np.uint64(2)] << ONE) << (np.uint64(63) - shift))


@inlined_kernel
def look_at_merge(node, at, width, total, node_word, bits, need, next_leaving, next_from):
    """Write what a node takes next, having taken ``at`` of ``total`` elements: a full window, or the last elements.

    Without branches, which would make the compiler count references to every array.

    Contract
    --------
    need         : int64[FIFOs]   written for both inputs: elements of the window
    next_leaving : int64[nodes]   written: elements that leave the node with it
    next_from    : int64[nodes]   written: the FIFO its first element comes from
    """
    take = min(width, total - at)
    mask = (~np.uint64(0) >> np.uint64(WORD_BITS - max(take, 1))) * np.uint64(take > 0)
    both = node_word[node] > 0  # else the left side only, of which the first words tell
    at *= both
    side = next_bits(bits, node_word[node], at, 0)
    from_right = count_ones(side & mask)
    need[2 * node] = take - from_right
    need[2 * node + 1] = from_right
    next_leaving[node] = count_ones(next_bits(bits, node_word[node], at, 1) & mask)
    next_from[node] = 2 * node + np.int64(side & ONE)


@kernel
def part_of_window(node, at, node_word, bits, need, count):
    """Return how much of a node's window is there: elements from the left, from the right, and those that leave."""
    left, right = 2 * node, 2 * node + 1
    at *= node_word[node] > 0
    side = next_bits(bits, node_word[node], at, 0)
    from_left = from_right = np.int64(0)
    for n in range(need[left] + need[right]):
        if (side >> np.uint64(n)) & ONE:
            if from_right == count[right]:
                break
            from_right += 1
        else:
            if from_left == count[left]:
                break
            from_left += 1
    mask = ~np.uint64(0) >> np.uint64(WORD_BITS - from_left - from_right)
    return from_left, from_right, count_ones(next_bits(bits, node_word[node], at, 1) & mask)


@inlined_kernel
def update_inputs(word, node, need, count, next_from, full, part):
    """Set whether a node has a full window, and whether its next element is there. Without branches."""
    left, right = 2 * node, 2 * node + 1
    more = need[left] + need[right] > 0
    set_bit(full, word, node, more & (count[left] >= need[left]) & (count[right] >= need[right]))
    set_bit(part, word, node, more & (count[next_from[node]] > 0))


@kernel
def run_round(
    t, machine, slots, passed, node_word, bits, unit_slot, unit_length, unit_begin, unit_next, unit_loader, unit_after,
    unit_last, unit_a, first_unit, a_base, b_base, request_address, request_size, request_units, request_elements,
    reload_slot, reload_address, out_address, out_bytes, memory, stack, totals,
):  # fmt: skip
    """Run one round from time ``t`` on; return the time it ends, -1 if it comes to a stop.

    Contract
    --------
    machine           : int64[MACHINE_SIZE]
    passed, node_word, bits : from ``merge_kernels.merge_round``
    unit_*, first_unit      : from ``prefetch_kernels.place_units``; unit_a: int64[units], place of the element in A
    request_*         : from ``prefetch_kernels.fetch_requests``
    reload_slot, reload_address : int64[reloads]   the slot each reloaded stream feeds, its first byte
    stack             : int64[len(CAUSES)]    added to
    totals            : int64[len(COUNTERS)]  added to
    """
    layers, width, latency, choice = machine[LAYERS], machine[WIDTH], machine[MERGE_LATENCY], machine[NODE_CHOICE]
    group, look_ahead, fetchers = machine[GROUP], machine[LOOK_AHEAD], machine[FETCHERS]
    memory_latency, element_bytes, spill_bytes = machine[LATENCY], machine[ELEMENT_BYTES], machine[SPILL_BYTES]
    leaves = np.int64(1) << layers
    units = len(unit_slot)
    out_block = max(1, machine[INTERLEAVE] // out_bytes)
    in_block = max(1, machine[INTERLEAVE] // spill_bytes)
    reloads = len(reload_slot)
    share = max(in_block, machine[SPILL_FIFO] // max(1, reloads) // in_block * in_block)

    need = np.zeros(2 * leaves, np.int64)  # elements the node above wants of a FIFO next
    next_leaving = np.zeros(leaves, np.int64)  # elements that leave a node with them
    next_from = np.zeros(leaves, np.int64)  # the FIFO a node's next element comes from
    count = np.zeros(2 * leaves, np.int64)  # elements a FIFO holds
    used = np.zeros(2 * leaves, np.int64)  # and those on their way into it, or out of the root's to memory
    coming = passed.copy()  # elements that have not entered it
    depth = np.full(2 * leaves, machine[FIFO_DEPTH], np.int64)
    depth[1] = machine[SPILL_FIFO]
    taken = np.zeros(leaves, np.int64)
    total = np.zeros(leaves, np.int64)
    words = word_of(layers - 1, leaves - 1) + 1
    last_layer = layers - 1
    simple = layers <= 6 and choice == ROUND_ROBIN
    chosen = np.zeros(layers, np.int64)
    full, part, room, dry = (  # a bit for each node
        np.zeros(words, np.uint64), np.zeros(words, np.uint64), np.zeros(words, np.uint64), np.zeros(words, np.uint64),
    )  # fmt: skip
    for node in range(1, leaves):
        total[node] = passed[2 * node] + passed[2 * node + 1]
        look_at_merge(node, 0, width, total[node], node_word, bits, need, next_leaving, next_from)
    for layer in range(layers):
        for node in range(np.int64(1) << layer, np.int64(2) << layer):
            set_bit(room, word_of(layer, node), node, True)
            set_bit(dry, word_of(layer, node), node, True)
    last_served = np.zeros(layers, np.int64)
    pipe = np.full((layers, latency, 3), NEVER, np.int64)  # when, into which FIFO, how many
    pipe_first = np.zeros(layers, np.int64)
    pipe_free = np.zeros(layers, np.int64)
    pipe_due = np.full(layers, NEVER, np.int64)
    next_due = NEVER

    head = np.full(slots, NONE, np.int32)  # next unit of each slot
    able = np.full(slots, NONE, np.int32)  # the same, if it can be multiplied; else NONE
    offset = np.zeros(slots, np.int64)  # products of it that are done
    bypass_until = np.zeros(slots, np.int64)
    bypass_at = np.zeros(slots, np.int64)
    for s in range(slots):
        if first_unit[s] >= 0:
            head[s] = first_unit[s]
    current = NONE  # the least of ``able``
    arrival = np.zeros(units, np.int64)
    done = np.zeros(units, np.uint8)
    elements_done = np.int64(0)
    prefetched = np.int64(0)
    fetcher_free = np.zeros(fetchers, np.int64)
    fetcher = np.int64(0)

    requests = len(request_address)
    a_arrival = np.zeros(requests, np.int64)
    asked = got = np.int64(0)
    fetched = np.int64(0)

    reload_left = np.zeros(reloads, np.int64)
    reload_ring = max(np.int64(1), (machine[FIFO_DEPTH] + share) // in_block + 1)
    reload_at = np.zeros((reloads, reload_ring), np.int64)
    reload_first = np.zeros(reloads, np.int64)
    reload_waiting = np.zeros(reloads, np.int64)
    reload_of = np.full(slots, -1, np.int64)
    for r in range(reloads):
        leaf = leaves + reload_slot[r]
        reload_of[reload_slot[r]] = r
        reload_left[r] = coming[leaf]
        depth[leaf] += share
    next_reload = NEVER
    reload_turn = np.int64(0)
    reload_try = reloads > 0

    write_ring = machine[SPILL_FIFO] + 2
    write_end = np.zeros(write_ring, np.int64)
    write_count = np.zeros(write_ring, np.int64)
    writes_first = writes = np.int64(0)
    written = np.int64(0)

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
                leaf = leaves + reload_slot[r]
                while reload_waiting[r] > 0 and reload_at[r, reload_first[r]] <= t:
                    n = min(in_block, coming[leaf])
                    count[leaf] += n
                    coming[leaf] -= n
                    reload_first[r] = (reload_first[r] + 1) % reload_ring
                    reload_waiting[r] -= 1
                    update_inputs(word_of(last_layer, leaf >> 1), leaf >> 1, need, count, next_from, full, part)
                if reload_waiting[r] > 0:
                    next_reload = min(next_reload, reload_at[r, reload_first[r]])
        # 2. Merge tree.
        fired = False
        if next_due <= t:
            progress = True
            for layer in range(layers):
                if pipe_due[layer] == t:
                    first = pipe_first[layer]
                    node = pipe[layer, first, 1]
                    count[node] += pipe[layer, first, 2]
                    coming[node] -= pipe[layer, first, 2]
                    pipe[layer, first, 0] = NEVER
                    first = first + 1 if first + 1 < latency else 0
                    pipe_first[layer] = first
                    pipe_due[layer] = pipe[layer, first, 0]
                    if node == 1:
                        set_bit(dry, 0, 1, count[1] < out_block)
                    else:
                        update_inputs(word_of(layer - 1, node >> 1), node >> 1, need, count, next_from, full, part)
        for layer in range(layers):
            if simple:
                nodes = full[layer] & room[layer]
                if nodes == 0:
                    nodes = part[layer] & dry[layer] & room[layer]
                later = np.uint64(last_served[layer])
                later = nodes >> later >> ONE << ONE << later
                chosen[layer] = lowest_one(later if later != 0 else nodes) if nodes != 0 else 0
            else:
                chosen[layer] = choose_node(layer, last_served[layer], choice, full, part, room, dry, count)
        for layer in range(layers):
            node = chosen[layer]
            if node == 0:
                continue
            fired = True
            totals[FIRES] += 1
            last_served[layer] = node
            left, right = 2 * node, 2 * node + 1
            word, below = word_of(layer, node), word_of(layer + 1, left)
            from_left, from_right, leaving = need[left], need[right], next_leaving[node]
            if (full[word] >> np.uint64(node & 63)) & ONE == 0:
                from_left, from_right, leaving = part_of_window(node, taken[node], node_word, bits, need, count)
            free = pipe_free[layer]
            pipe[layer, free, 0] = t + latency
            pipe[layer, free, 1] = node
            pipe[layer, free, 2] = leaving
            pipe_free[layer] = free + 1 if free + 1 < latency else 0
            pipe_due[layer] = pipe[layer, pipe_first[layer], 0]
            count[left] -= from_left
            used[left] -= from_left
            count[right] -= from_right
            used[right] -= from_right
            used[node] += leaving
            taken[node] += from_left + from_right
            look_at_merge(node, taken[node], width, total[node], node_word, bits, need, next_leaving, next_from)
            update_inputs(word, node, need, count, next_from, full, part)
            set_bit(room, word, node, depth[node] - used[node] >= width)
            if node > 1:
                set_bit(dry, word, node, used[node] == 0)
            if layer < last_layer:
                set_bit(room, below, left, depth[left] - used[left] >= width)
                set_bit(room, below, right, depth[right] - used[right] >= width)
                set_bit(dry, below, left, used[left] == 0)
                set_bit(dry, below, right, used[right] == 0)
            else:
                for leaf in range(left, right + 1):
                    s = leaf - leaves
                    if s < slots:
                        if reload_of[s] >= 0:
                            reload_try = True
                        elif able[s] == NONE and depth[leaf] - used[leaf] >= group and head[s] < prefetched:
                            able[s] = head[s]
                            current = min(current, head[s])
        if fired or next_due <= t:
            next_due = NEVER
            for layer in range(layers):
                next_due = min(next_due, pipe_due[layer])
        # 3. Writer.
        while writes > 0 and write_end[writes_first] <= t:
            used[1] -= write_count[writes_first]
            writes_first = (writes_first + 1) % write_ring
            writes -= 1
            progress = True
            set_bit(room, 0, 1, depth[1] - used[1] >= width)
        if count[1] >= out_block or (coming[1] == 0 and count[1] > 0):
            n = min(out_block, count[1])
            at = (writes_first + writes) % write_ring
            write_end[at] = request(
                t, out_address + written * machine[INTERLEAVE], n * out_bytes, machine, memory
            )  # fmt: skip
            write_count[at] = n
            writes += 1
            written += 1
            count[1] -= n
            set_bit(dry, 0, 1, count[1] < out_block)
            progress = True
        # 4. Multipliers.
        issued = False
        wake = NEVER
        for _ in range(machine[GROUP_COUNT]):
            if current == NONE:
                break
            u = np.int64(current)
            s = np.int64(unit_slot[u])
            if bypass_until[s] > 0:
                until = bypass_until[s]
                ready = bypass_at[s]
            else:
                until = np.int64(unit_length[u])
                ready = arrival[unit_loader[u]] if unit_loader[u] >= 0 else np.int64(0)
            if ready > t:
                wake = ready
                break
            issued = True
            leaf = leaves + s
            beat = min(group, until - offset[s])
            count[leaf] += beat
            used[leaf] += beat
            coming[leaf] -= beat
            offset[s] += beat
            totals[BEATS] += 1
            update_inputs(word_of(last_layer, leaf >> 1), leaf >> 1, need, count, next_from, full, part)
            if offset[s] == unit_length[u]:
                done[u] = 1
                elements_done += unit_last[u]
                head[s] = unit_next[u] if unit_next[u] >= 0 else NONE
                offset[s] = 0
                bypass_until[s] = 0
            elif offset[s] == bypass_until[s]:
                bypass_until[s] = 0
            has_room = depth[leaf] - used[leaf] >= group
            upcoming = head[s] if bypass_until[s] > 0 or (has_room and head[s] < prefetched) else NONE
            if upcoming != able[s]:
                able[s] = upcoming
                current = NONE
                for n in range(slots):
                    current = min(current, able[n])
        # 5. Prefetcher.
        blocked = False
        fetcher_busy = False
        steps = 0
        while prefetched < fetched and steps < fetchers:
            if unit_loader[prefetched] == prefetched:
                if unit_after[prefetched] >= 0 and done[unit_after[prefetched]] == 0:
                    blocked = True
                    break
                if fetcher_free[fetcher] > t:
                    fetcher_busy = True
                    break
                arrival[prefetched] = memory_latency + request(
                    t, b_base + unit_begin[prefetched] * element_bytes, unit_length[prefetched] * element_bytes, machine, memory
                )  # fmt: skip
                fetcher_free[fetcher] = arrival[prefetched]
                fetcher = (fetcher + 1) % fetchers
            s = np.int64(unit_slot[prefetched])
            if head[s] == prefetched and able[s] == NONE and depth[leaves + s] - used[leaves + s] >= group:
                able[s] = prefetched
                current = min(current, able[s])
            prefetched += 1
            steps += 1
            progress = True
        if prefetched == fetched and got == asked and asked < requests:
            blocked = blocked or request_elements[asked] - elements_done > look_ahead
        if blocked and current >= prefetched:
            best = NONE
            for s in range(slots):
                if head[s] < best and head[s] >= prefetched and bypass_until[s] == 0 and count[leaves + s] == 0:
                    best = head[s]
            if best != NONE:
                if fetcher_free[fetcher] > t:
                    fetcher_busy = True
                else:
                    s = np.int64(unit_slot[best])
                    begin = t
                    if best >= fetched:
                        begin = memory_latency + request(
                            t, a_base + unit_a[best] * element_bytes, element_bytes, machine, memory
                        )  # fmt: skip
                        totals[REFETCHED_A] += 1
                    n = min(unit_length[best] - offset[s], depth[leaves + s] - used[leaves + s])
                    bypass_until[s] = offset[s] + n
                    bypass_at[s] = memory_latency + request(
                        begin, b_base + (unit_begin[best] + offset[s]) * element_bytes, n * element_bytes, machine, memory
                    )  # fmt: skip
                    totals[BYPASSED] += n
                    if unit_loader[best] == best:
                        totals[REFETCHED] += n
                    fetcher_free[fetcher] = bypass_at[s]
                    fetcher = (fetcher + 1) % fetchers
                    able[s] = best
                    current = min(current, best)
                    progress = True
        # 6. Column fetcher.
        if asked < requests and request_elements[asked] - elements_done <= look_ahead:
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
                n = min(in_block, reload_left[r])
                if n > 0 and depth[leaf] - used[leaf] >= n:
                    at = (reload_first[r] + reload_waiting[r]) % reload_ring
                    asked_before = passed[leaf] - reload_left[r]
                    reload_at[r, at] = memory_latency + request(
                        t, reload_address[r] + asked_before // in_block * machine[INTERLEAVE], n * spill_bytes, machine, memory
                    )  # fmt: skip
                    if reload_waiting[r] == 0:
                        next_reload = min(next_reload, reload_at[r, at])
                    reload_waiting[r] += 1
                    reload_left[r] -= n
                    used[leaf] += n
                    reload_turn = r + 1
                    reload_try = True
                    progress = True
                    break
        # The end, or the next cycle in which something can happen.
        if coming[1] == 0 and count[1] == 0 and writes == 0 and prefetched == units and got == requests:
            stack[PIPELINE] += machine[MULTIPLY_LATENCY]
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
        elif fired:
            cause = MERGE
        elif coming[1] == 0 or room[0] & np.uint64(2) == 0:
            cause = WRITE
        elif current != NONE or fetcher_busy:
            cause = B_READ
        elif next_reload != NEVER:
            cause = PARTIAL_READ
        elif got < asked:
            cause = A_READ
        stack[cause] += upcoming_t - t
        t = upcoming_t
