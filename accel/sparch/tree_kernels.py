"""SpArch's merge tree in time: what its FIFOs hold, which nodes can be served, and what serving one changes.

Nodes are numbered 1 (root), 2i and 2i + 1 below i; FIFO n is the output of node n or, from ``2 ** layers`` on, a slot.
So node n takes from FIFOs 2n and 2n + 1: what is known of these lies in one word, the left one's in its low half.

A node can be served if comparisons of its two inputs' and its output's numbers say so. Those of 64 nodes are compared
at once, in every cycle: cheaper than to keep up with what every element that moves does to them. No processor can
guess which nodes those are, nor how much of a window is there: so what a merger takes is computed without branches.

Source: Zhang et al., "SpArch", HPCA 2020: merge tree with one merger for each layer.
"""

import numpy as np

from accel.bits import compare_lanes, count_ones, gather_bits, highest_one, lowest_one, spread_bits
from accel.jit import inlined_kernel, lean_kernel

# Where the words of each kind begin in ``fifos``; a kind has one for each node, and halves for each FIFO.
MOST_NODES = 1024
KIND_WORDS = 1280  # not a page: a load would wait for a store of another kind to the same place of one
(
    COUNT,  # elements it holds
    NEED,  # those of them that are in the window of the node it feeds; LACKING where that has taken all
    NEXT,  # whether that node's next element is the first of them; LACKING likewise
    USED,  # elements it holds or that are on their way into it, or out of the root's to memory
    LIMIT,  # the most USED may be for what a merger puts out to fit
    NOTHING,  # 0
) = (np.uint64(n * KIND_WORDS) for n in range(6))
LACKING = np.uint64(2**16 - 1)  # more than a FIFO can hold
# Words of ``tree``.
(
    LEAVES,  # slots the tree can have
    WIDTH,  # elements a merger takes
    LATENCY,  # of a merger
    CHOICE,  # of the node a merger serves
    BLOCK,  # elements of the root that go to memory together
    RING,  # results that the mergers' pipelines can hold, less one
    OLDEST,  # how many results have left them
    NEWEST,  # and entered them
    NEXT_DUE,  # when the next one leaves
    COMING,  # elements that have not come out of the tree
    LEAF_NODE,  # the node of the last layer that was served, 0 for none
) = (np.uint64(n) for n in range(11))
SERVED = np.uint64(16)  # each layer's node that was served last
CHOSEN = np.uint64(32)  # scratch: nodes to be served
BY_WHOLE = np.uint64(48)  # scratch: a bit for each node that can be served by its whole window
BY_PART = np.uint64(64)  # scratch: and by a part of it
NODES = np.uint64(80)  # their records; behind them, what is on its way through the mergers: when it is there, and what
# Words of a node's record.
(
    AT,  # the bit of the streams of merge bits with its next element; below 64: all come from the left, all leave
    REST,  # elements it has not taken
    WINDOW,  # a bit for each element of its window
    FROM_RIGHT,  # and for each that comes from the right
) = (np.uint64(n) for n in range(4))
RECORD_BITS = np.uint64(2)
ZERO, ONE, TWO, FOUR, FIVE, SIX, HALF, HALF_WORD, WORD_BITS = (np.uint64(n) for n in (0, 1, 2, 4, 5, 6, 16, 32, 64))
LOW_SIX, LOW_HALF, LOW_HALF_WORD, ALL = (np.uint64(n) for n in (63, 2**16 - 1, 2**32 - 1, 2**64 - 1))
EVEN = np.uint64(0x5555555555555555)
NOT_DUE = np.uint64(2**62)
ROUND_ROBIN, LOWEST, EMPTIEST = (np.uint64(n) for n in range(3))


@inlined_kernel
def record(node):
    """Return where a node's record is."""
    return NODES + (node << RECORD_BITS)


@inlined_kernel
def held(fifo, kind, fifos):
    """Return a FIFO's number of a kind."""
    return (np.uint64(fifos[kind + (fifo >> ONE)]) >> ((fifo & ONE) << FOUR)) & LOW_HALF


@inlined_kernel
def add(fifo, kind, amount, fifos):
    """Add to a FIFO's number of a kind."""
    fifos[kind + (fifo >> ONE)] += np.uint32(amount << ((fifo & ONE) << FOUR))


@inlined_kernel
def take(fifo, kind, amount, fifos):
    """Take from a FIFO's number of a kind."""
    fifos[kind + (fifo >> ONE)] -= np.uint32(amount << ((fifo & ONE) << FOUR))


@inlined_kernel
def next_bits(bits, at, kind):
    """Return the next 64 bits of a kind, 0 (side) or 1 (leaves), from a bit of a stream on."""
    place = (at >> SIX << ONE) + kind
    shift = at & LOW_SIX
    return (bits[place] >> shift) | ((bits[place + TWO] << ONE) << (LOW_SIX - shift))


@inlined_kernel
def first_bits(count):
    """Return a word whose first bits, up to 64, are ones."""
    return (ALL >> (WORD_BITS - max(count, ONE))) * np.uint64(count > ZERO)


@inlined_kernel
def look_at_merge(node, where, rest, bits, fifos, tree):
    """Write what a node that has ``rest`` elements to take needs next: a full window, or the last elements."""
    at = record(node)
    count = min(tree[WIDTH], rest)
    window = first_bits(count)
    from_right = next_bits(bits, where, ZERO) & window
    tree[at + WINDOW], tree[at + FROM_RIGHT] = window, from_right
    right = np.uint64(count_ones(from_right))
    lacking = (LACKING | (LACKING << HALF)) * np.uint64(rest == ZERO)
    fifos[NEED + node] = np.uint32((count - right) | (right << HALF) | lacking)
    fifos[NEXT + node] = np.uint32((ONE << ((from_right & ONE) << FOUR)) | lacking)


@lean_kernel
def look_everywhere(bits, fifos, tree):
    """Look at every node's first window."""
    for node in range(ONE, tree[LEAVES]):
        at = record(node)
        look_at_merge(node, tree[at + AT], tree[at + REST], bits, fifos, tree)


@inlined_kernel
def both_inputs(kind, first, fifos):
    """Return a bit for each of 64 nodes whose inputs both hold at least what they have of a kind."""
    left, right = COUNT + first, kind + first
    low = compare_lanes(fifos, left, right)
    high = compare_lanes(fifos, left + HALF_WORD, right + HALF_WORD)
    return gather_bits(low & (low >> ONE), EVEN) | (gather_bits(high & (high >> ONE), EVEN) << HALF_WORD)


@inlined_kernel
def servable(first, few, fifos):
    """Return bits for 64 nodes: which can be served by the whole window, and which by a part of it.

    The whole window is there, and there is room for what leaves; or the next element is there, and nothing in what the
    node feeds or on its way there: in the root's FIFO, ``few``: less than a block.
    """
    outputs = first >> ONE
    room = compare_lanes(fifos, LIMIT + outputs, USED + outputs)
    dry = compare_lanes(fifos, NOTHING, USED + outputs)
    if first == ZERO:
        dry = (dry & ~TWO) | (few << ONE)
    return both_inputs(NEED, first, fifos) & room, both_inputs(NEXT, first, fifos) & dry & room


@inlined_kernel
def beyond(count, places):
    """Return the bit of the first place that so many elements do not reach, none if they reach all."""
    return spread_bits(np.uint64(count <= LOW_SIX) << (count & LOW_SIX), places)


@inlined_kernel
def there_of_window(window, from_right, count):
    """Return bits for the elements of a window that come before the first one lacking on either side."""
    lacking = beyond(count & LOW_HALF, window & ~from_right) | beyond(count >> HALF, from_right)
    return window & ((lacking & (~lacking + ONE)) + ALL)  # what is below the lowest one; all, if nothing is lacking


@lean_kernel
def choose_node(layer, last, fifos, tree):
    """Return the node of a layer that its merger serves next, 0 if none can be served.

    A part of a window is served only if no whole one can be.
    """
    first = ONE << layer
    of_layer = ((ONE << first) - ONE) << first if first <= HALF_WORD else ALL
    for kind in (BY_WHOLE, BY_PART):
        best = ZERO
        word = first >> SIX
        while word <= (first + first - ONE) >> SIX:
            base = word << SIX
            able = tree[kind + word] & of_layer
            word += ONE
            if tree[CHOICE] == ROUND_ROBIN and able != ZERO:
                if best == ZERO:
                    best = base + np.uint64(lowest_one(able))
                if last >= base + LOW_SIX:
                    continue
                if last >= base:
                    later = last - base + ONE
                    able = able >> later << later
                if able != ZERO:
                    return base + np.uint64(lowest_one(able))
            elif tree[CHOICE] == LOWEST and able != ZERO:
                return base + np.uint64(lowest_one(able))
            while tree[CHOICE] == EMPTIEST and able != ZERO:
                node = base + np.uint64(lowest_one(able))
                if best == ZERO or held(node, COUNT, fifos) < held(best, COUNT, fifos):
                    best = node
                able &= able - ONE
        if best > ZERO:
            return best
    return ZERO


@inlined_kernel
def choose_everywhere(few, fifos, tree):
    """Write the nodes that all mergers serve next, as ``choose_node`` does; return where the last one stands."""
    for word in range(((tree[LEAVES] - ONE) >> SIX) + ONE):
        tree[BY_WHOLE + word], tree[BY_PART + word] = servable(word << SIX, few, fifos)
    to = CHOSEN
    layer, first = ZERO, ONE
    while first < tree[LEAVES]:
        node = choose_node(layer, tree[SERVED + layer], fifos, tree)
        if node != ZERO:
            tree[SERVED + layer] = node
            tree[to] = node
            to += ONE
        layer += ONE
        first += first
    return to


@inlined_kernel
def among(whole, part, layer, tree):
    """Return what ``choose_node`` does, for a layer of a small tree whose mergers serve in turn; one can be served.

    ``whole`` and ``part`` have the nodes that can be served by their whole window, or by a part of it.
    """
    first = ONE << layer
    of_layer = ((ONE << first) - ONE) << first
    ready = whole & of_layer
    ready |= part & of_layer & (np.uint64(ready != ZERO) + ALL)
    later = ready & (ALL << tree[SERVED + layer] << ONE)
    return np.uint64(lowest_one(later | (ready & (np.uint64(later != ZERO) + ALL))))


@inlined_kernel
def serve(node, t, newest, bits, fifos, tree):
    """Let a merger take what is there of a node's window."""
    at = record(node)
    where, rest, window, from_right = tree[at + AT], tree[at + REST], tree[at + WINDOW], tree[at + FROM_RIGHT]
    there = there_of_window(window, from_right, np.uint64(fifos[COUNT + node]))
    right = np.uint64(count_ones(there & from_right))
    taken = np.uint64(count_ones(there))
    from_both = (taken - right) | (right << HALF)
    passing = next_bits(bits, where, ONE) & there
    leaving = np.uint64(count_ones(passing))
    fifos[COUNT + node] -= np.uint32(from_both)
    fifos[USED + node] -= np.uint32(from_both)
    where += taken * np.uint64(where > LOW_SIX)
    rest -= taken
    tree[at + AT], tree[at + REST] = where, rest
    look_at_merge(node, where, rest, bits, fifos, tree)
    add(node, USED, leaving, fifos)
    result = record(tree[LEAVES]) + ((newest & tree[RING]) << ONE)
    tree[result] = t + tree[LATENCY]
    tree[result + ONE] = node << HALF_WORD | leaving


@lean_kernel
def advance(t, bits, fifos, tree):
    """Let results enter their FIFOs at time ``t``, and every merger serve a node; return how many did.

    Contract
    --------
    t     : uint64
    bits  : uint64[], from ``merge_kernels.merge_round``
    fifos : uint32[], from ``timing_state.begin_round``
    tree  : uint64[], likewise
    """
    results = record(tree[LEAVES])
    oldest, begun, ring, coming = tree[OLDEST], tree[NEWEST], tree[RING], tree[COMING]
    while oldest != begun and tree[results + ((oldest & ring) << ONE)] <= t:
        what = tree[results + ((oldest & ring) << ONE) + ONE]
        fifo, amount = what >> HALF_WORD, what & LOW_HALF_WORD
        oldest += ONE
        add(fifo, COUNT, amount, fifos)
        coming -= amount * np.uint64(fifo == ONE)
    newest, leaf_node = begun, ZERO
    few = np.uint64(held(ONE, COUNT, fifos) < tree[BLOCK])
    if tree[LEAVES] <= WORD_BITS and tree[CHOICE] == ROUND_ROBIN:
        whole, rest = servable(ZERO, few, fifos)
        able = whole | rest
        while able != ZERO:
            layer = np.uint64(highest_one(np.uint64(lowest_one(able))))
            leaf_node = among(whole, rest, layer, tree)
            able &= ALL << (ONE << layer) << (ONE << layer)
            tree[SERVED + layer] = leaf_node
            serve(leaf_node, t, newest, bits, fifos, tree)
            newest += ONE
    else:
        for place in range(CHOSEN, choose_everywhere(few, fifos, tree)):
            leaf_node = tree[place]
            serve(leaf_node, t, newest, bits, fifos, tree)
            newest += ONE
    tree[LEAF_NODE] = leaf_node * np.uint64(leaf_node << ONE >= tree[LEAVES])
    tree[OLDEST], tree[NEWEST], tree[COMING] = oldest, newest, coming
    tree[NEXT_DUE] = tree[results + ((oldest & ring) << ONE)] if oldest != newest else NOT_DUE
    return np.int64(newest - begun)
