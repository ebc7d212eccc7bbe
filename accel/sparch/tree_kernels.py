"""SpArch's merge tree in time: what its FIFOs hold, which nodes can be served, and what serving one changes.

Nodes are numbered 1 (root), 2i and 2i + 1 below i; FIFO n is the output of node n or, from ``2 ** layers`` on, a slot.
A node has a record; of what it knows of its two inputs, the left one's number is in the low half of a word and the
right one's in the high half, so that one operation serves both. Record 0 has the root's FIFO as its right input.

What mergers need to know of all nodes is one bit for each, of four kinds: bit ``n & 63`` of word
``4 * (n >> 6) + kind``. So those of the first six layers are a word of each kind, which ``advance`` has in variables.
Which nodes can be served no processor can guess: so what follows from it is computed without branches.

Source: Zhang et al., "SpArch", HPCA 2020: merge tree with one merger for each layer.
"""

import numpy as np

from accel.bits import count_ones, highest_one, lowest_one, spread_bits
from accel.jit import inlined_kernel, lean_kernel

# Words of ``tree``: first the bits of all nodes, up to ten layers.
FULL, PART, ROOM, DRY = (np.uint64(n) for n in range(4))  # see ``note_window`` and ``note_output``
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
) = (np.uint64(n) for n in range(64, 75))
SERVED = np.uint64(80)  # each layer's node that was served last
CHOSEN = np.uint64(96)  # scratch: nodes to be served
NODES = np.uint64(112)  # their records; behind them, what is on its way through the mergers: when it is there, and what
# Words of a node's record.
(
    COUNT,  # elements its inputs hold
    NEED,  # those of them in its window
    USED,  # elements they hold or that are on their way into them, or out of the root's to memory
    LIMIT,  # the most USED may be for what a merger puts out to fit
    AT,  # the bit of the streams of merge bits with its next element; below 64: all come from the left, all leave
    REST,  # elements it has not taken
    FROM_RIGHT,  # a bit for each element of its window that comes from the right
    PASSING,  # and for each that leaves it
) = (np.uint64(n) for n in range(8))
RECORD_BITS = np.uint64(3)
ZERO, ONE, TWO, THREE, FIVE, SIX, HALF, WORD_BITS = (np.uint64(n) for n in (0, 1, 2, 3, 5, 6, 32, 64))
LOW_SIX, LOW_HALF, ALL = (np.uint64(n) for n in (63, 2**32 - 1, 2**64 - 1))
SIGNS = np.uint64(1 << 31 | 1 << 63)  # borrowed from by the halves of a difference that are below zero
NOT_DUE = np.uint64(2**62)
ROUND_ROBIN, LOWEST, EMPTIEST = (np.uint64(n) for n in range(3))


@inlined_kernel
def fits(pair, limits):
    """Return, in two bits, whether the halves of a word are at most those of another."""
    signs = (limits | SIGNS) - pair
    return ((signs >> np.uint64(31)) & ONE) | ((signs >> np.uint64(62)) & TWO)


@inlined_kernel
def with_bits(mask, node, ones, value):
    """Return a mask with a node's bit, or its and its right neighbour's, replaced."""
    shift = node & LOW_SIX
    return (mask & ~(ones << shift)) | (value << shift)


@inlined_kernel
def record(node):
    """Return where a node's record is."""
    return NODES + (node << RECORD_BITS)


@inlined_kernel
def held(fifo, field, tree):
    """Return what the record of the node that a FIFO feeds says of it."""
    return (tree[record(fifo >> ONE) + field] >> ((fifo & ONE) << FIVE)) & LOW_HALF


@inlined_kernel
def add(fifo, field, amount, tree):
    """Add to what the record of the node that a FIFO feeds says of it."""
    tree[record(fifo >> ONE) + field] += amount << ((fifo & ONE) << FIVE)


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
def look_at_merge(at, bits, tree):
    """Write what a node takes next: a full window, or the last elements."""
    take = min(tree[WIDTH], tree[at + REST])
    window = first_bits(take)
    from_right = next_bits(bits, tree[at + AT], ZERO) & window
    right = np.uint64(count_ones(from_right))
    tree[at + NEED] = (take - right) | (right << HALF)
    tree[at + FROM_RIGHT] = from_right
    tree[at + PASSING] = next_bits(bits, tree[at + AT], ONE) & window


@inlined_kernel
def note_window(node, full, part, small, tree):
    """Return the bits of kinds FULL (its whole window is there) and PART (its next element is), a node's renewed.

    ``small`` says that all nodes have theirs in one word.
    """
    at = record(node)
    need, count = tree[at + NEED], tree[at + COUNT]
    some = np.uint64(need != ZERO)
    whole = np.uint64(fits(need, count) == THREE) & some
    some &= np.uint64((count >> ((tree[at + FROM_RIGHT] & ONE) << FIVE)) & LOW_HALF != ZERO)
    if small or node <= LOW_SIX:
        return with_bits(full, node, ONE, whole), with_bits(part, node, ONE, some)
    word = node >> SIX << TWO
    tree[word + FULL] = with_bits(tree[word + FULL], node, ONE, whole)
    tree[word + PART] = with_bits(tree[word + PART], node, ONE, some)
    return full, part


@inlined_kernel
def note_output(node, ones, fit, empty, room, dry, small, tree):
    """Return the bits of kinds ROOM (a merger's output fits) and DRY (nothing is there or on its way), renewed."""
    if small or node <= LOW_SIX:
        return with_bits(room, node, ones, fit), with_bits(dry, node, ones, empty)
    word = node >> SIX << TWO
    tree[word + ROOM] = with_bits(tree[word + ROOM], node, ones, fit)
    tree[word + DRY] = with_bits(tree[word + DRY], node, ones, empty)
    return room, dry


@inlined_kernel
def enter(fifo, amount, tree):
    """Let elements enter a FIFO below the root, and note what that means for the node it feeds."""
    add(fifo, COUNT, amount, tree)
    tree[FULL], tree[PART] = note_window(fifo >> ONE, tree[FULL], tree[PART], False, tree)


@inlined_kernel
def note_root(tree):
    """Note what the root's FIFO has room for, and whether it holds less than a block."""
    tree[ROOM] = with_bits(tree[ROOM], ONE, ONE, np.uint64(held(ONE, USED, tree) <= held(ONE, LIMIT, tree)))
    tree[DRY] = with_bits(tree[DRY], ONE, ONE, np.uint64(held(ONE, COUNT, tree) < tree[BLOCK]))


@lean_kernel
def look_everywhere(bits, tree):
    """Look at every node's first window."""
    for node in range(ONE, tree[LEAVES]):
        look_at_merge(record(node), bits, tree)
        tree[FULL], tree[PART] = note_window(node, tree[FULL], tree[PART], False, tree)
    note_root(tree)


@inlined_kernel
def beyond(count, places):
    """Return the bit of the first place that so many elements do not reach, none if they reach all."""
    return spread_bits(np.uint64(count <= LOW_SIX) << (count & LOW_SIX), places)


@inlined_kernel
def there_of_window(at, tree):
    """Return bits for the elements of a node's window that come before the first one lacking on either side."""
    need, count, from_right = tree[at + NEED], tree[at + COUNT], tree[at + FROM_RIGHT]
    window = first_bits((need & LOW_HALF) + (need >> HALF))
    lacking = beyond(count & LOW_HALF, window & ~from_right) | beyond(count >> HALF, from_right)
    return window & ((lacking & (~lacking + ONE)) + ALL)  # what is below the lowest one; all, if nothing is lacking


@lean_kernel
def choose_node(layer, last, tree):
    """Return the node of a layer that its merger serves next, 0 if none can be served.

    Its window, or a part of it, is there, and there is room for what leaves; a part is served only if nothing else can
    be and what the node feeds has nothing.
    """
    first = ONE << layer
    of_layer = ((ONE << first) - ONE) << first if first <= HALF else ALL
    for whole in (ONE, ZERO):
        best = ZERO
        word = first >> SIX
        while word <= (first + first - ONE) >> SIX:
            at, base = word << TWO, word << SIX
            able = tree[at + ROOM] & (tree[at + FULL] if whole else tree[at + PART] & tree[at + DRY]) & of_layer
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
                if best == ZERO or held(node, COUNT, tree) < held(best, COUNT, tree):
                    best = node
                able &= able - ONE
        if best > ZERO:
            return best
    return ZERO


@inlined_kernel
def choose_everywhere(tree):
    """Write the nodes that all mergers serve next, as ``choose_node`` does; return where the last one stands."""
    to = CHOSEN
    layer, first = ZERO, ONE
    while first < tree[LEAVES]:
        node = choose_node(layer, tree[SERVED + layer], tree)
        if node != ZERO:
            tree[SERVED + layer] = node
            tree[to] = node
            to += ONE
        layer += ONE
        first += first
    return to


@inlined_kernel
def among(able, full, rest, layer, tree):
    """Return what ``choose_node`` does, for a layer of a small tree whose mergers serve in turn; one can be served.

    ``full`` and ``rest`` have the nodes that can be served by the whole window, or by a part of one.
    """
    first = ONE << layer
    of_layer = ((ONE << first) - ONE) << first
    ready = full & of_layer
    ready |= rest & of_layer & (np.uint64(ready != ZERO) + ALL)
    later = ready & (ALL << tree[SERVED + layer] << ONE)
    return np.uint64(lowest_one(later | (ready & (np.uint64(later != ZERO) + ALL))))


@inlined_kernel
def serve(node, whole, t, newest, bits, full, part, room, dry, small, tree):
    """Let a merger take a node's whole window, or what is there of it; return the bits of all kinds."""
    at = record(node)
    from_both, passing = tree[at + NEED], tree[at + PASSING]
    if not whole:
        there = there_of_window(at, tree)
        right = np.uint64(count_ones(there & tree[at + FROM_RIGHT]))
        from_both = (np.uint64(count_ones(there)) - right) | (right << HALF)
        passing &= there
    leaving = np.uint64(count_ones(passing))
    taken = (from_both & LOW_HALF) + (from_both >> HALF)
    used = tree[at + USED] - from_both
    where = tree[at + AT]
    tree[at + COUNT] -= from_both
    tree[at + USED] = used
    tree[at + REST] -= taken
    tree[at + AT] = where + taken * np.uint64(where > LOW_SIX)
    look_at_merge(at, bits, tree)
    full, part = note_window(node, full, part, small, tree)
    child, inner = node << ONE, np.uint64(node << ONE < tree[LEAVES])
    room, dry = note_output(
        child, THREE * inner, fits(used, tree[at + LIMIT]) * inner, fits(used, ZERO) * inner, room, dry, small, tree
    )
    out, side = record(node >> ONE), (node & ONE) << FIVE
    pair = tree[out + USED] + (leaving << side)
    tree[out + USED] = pair
    used = (pair >> side) & LOW_HALF
    fit = np.uint64(used <= (tree[out + LIMIT] >> side) & LOW_HALF)
    room, dry = note_output(node, ONE, fit, np.uint64(used == ZERO), room, dry, small, tree)
    result = record(tree[LEAVES]) + ((newest & tree[RING]) << ONE)
    tree[result] = t + tree[LATENCY]
    tree[result + ONE] = node << HALF | leaving
    return full, part, room, dry


@lean_kernel
def advance(t, bits, tree):
    """Let results enter their FIFOs at time ``t``, and every merger serve a node; return how many did.

    Contract
    --------
    t    : uint64
    bits : uint64[], from ``merge_kernels.merge_round``
    tree : uint64[], from ``timing_state.begin_tree``
    """
    full, part, room, dry = tree[FULL], tree[PART], tree[ROOM], tree[DRY]
    results = record(tree[LEAVES])
    oldest, begun, ring, coming = tree[OLDEST], tree[NEWEST], tree[RING], tree[COMING]
    while oldest != begun and tree[results + ((oldest & ring) << ONE)] <= t:
        what = tree[results + ((oldest & ring) << ONE) + ONE]
        fifo, amount = what >> HALF, what & LOW_HALF
        oldest += ONE
        add(fifo, COUNT, amount, tree)
        coming -= amount * np.uint64(fifo == ONE)
        full, part = note_window(fifo >> ONE, full, part, False, tree)
    newest, leaf_node = begun, ZERO
    few = np.uint64(held(ONE, COUNT, tree) < tree[BLOCK])
    dry = with_bits(dry, ONE, ONE, few)
    if tree[LEAVES] <= WORD_BITS and tree[CHOICE] == ROUND_ROBIN:
        whole, rest = full & room, part & dry & room
        able = whole | rest
        while able != ZERO:
            layer = np.uint64(highest_one(np.uint64(lowest_one(able))))
            node = among(able, whole, rest, layer, tree)
            able &= ALL << (ONE << layer) << (ONE << layer)
            tree[SERVED + layer] = node
            full, part, room, dry = serve(
                node, (whole >> node) & ONE, t, newest, bits, full, part, room, dry, True, tree
            )
            newest += ONE
            leaf_node = node
    else:
        tree[FULL], tree[PART], tree[ROOM], tree[DRY] = full, part, room, dry
        for place in range(CHOSEN, choose_everywhere(tree)):
            leaf_node = tree[place]
            full, part, room, dry = serve(leaf_node, ZERO, t, newest, bits, full, part, room, dry, False, tree)
            newest += ONE
    tree[LEAF_NODE] = leaf_node * np.uint64(leaf_node << ONE >= tree[LEAVES])
    dry = with_bits(dry, ONE, ONE, few)
    tree[FULL], tree[PART], tree[ROOM], tree[DRY] = full, part, room, dry
    tree[OLDEST], tree[NEWEST], tree[COMING] = oldest, newest, coming
    tree[NEXT_DUE] = tree[results + ((oldest & ring) << ONE)] if oldest != newest else NOT_DUE
    return np.int64(newest - begun)
