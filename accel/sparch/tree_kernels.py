"""SpArch's merge tree in time: what its FIFOs hold, which nodes can be served, and what serving one changes.

Nodes are numbered 1 (root), 2i and 2i + 1 below i; FIFO n is the output of node n or, from ``2 ** layers`` on, a slot.
A node has a record; of what it knows of its two inputs, the left one's number is in the low half of a word and the
right one's in the high half, so that one operation serves both. Record 0 has the root's FIFO as its right input.

What mergers need to know of all nodes is one bit for each, of four kinds: bit ``n & 63`` of word
``4 * (n >> 6) + kind``. So those of the first six layers are a word of each kind, which ``advance`` has in variables.

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
    ROOT_COUNT,  # elements the root's FIFO holds
    COMING,  # and those that have not come out of the tree
    LEAF_NODE,  # the node of the last layer that was served, 0 for none
) = (np.uint64(n) for n in range(64, 76))
SERVED = np.uint64(80)  # each layer's node that was served last
CHOSEN = np.uint64(96)  # scratch: nodes to be served, and whether their whole window is there
NODES = np.uint64(112)  # their records; behind them, what is on its way through the mergers: when it is there, and what
# Words of a node's record.
(
    COUNT,  # elements its inputs hold
    NEED,  # those of them in its window
    USED,  # elements they hold or that are on their way into them, or out of the root's to memory
    LIMIT,  # the most USED may be for what a merger puts out to fit
    AT,  # the bit of the streams of merge bits with its next element; below 64: all come from the left, all leave
    REST,  # elements it has not taken
    LEAVING,  # elements that leave it with the window
    SOURCE,  # where in COUNT the input of its next element is: 0 or 32
) = (np.uint64(n) for n in range(8))
RECORD_BITS = np.uint64(3)
ZERO, ONE, TWO, THREE, FIVE, SIX, HALF, WORD_BITS = (np.uint64(n) for n in (0, 1, 2, 3, 5, 6, 32, 64))
LOW_SIX, LOW_HALF, ALL = (np.uint64(n) for n in (63, 2**32 - 1, 2**64 - 1))
SIGNS = np.uint64(1 << 31 | 1 << 63)  # borrowed from by the halves of a difference that are below zero
NOT_DUE = np.uint64(2**62)
ROUND_ROBIN, LOWEST, EMPTIEST = (np.uint64(n) for n in range(3))
SMALL_LAYERS = 6  # whose nodes have their bits in one word


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
    mask = first_bits(take)
    where = tree[at + AT]
    side = next_bits(bits, where, ZERO)
    from_right = np.uint64(count_ones(side & mask))
    tree[at + NEED] = (take - from_right) | (from_right << HALF)
    tree[at + LEAVING] = np.uint64(count_ones(next_bits(bits, where, ONE) & mask))
    tree[at + SOURCE] = (side & ONE) << FIVE


@inlined_kernel
def note_window(node, full, part, tree):
    """Return the bits of kinds FULL (its whole window is there) and PART (its next element is), a node's renewed."""
    at = record(node)
    need, count = tree[at + NEED], tree[at + COUNT]
    some = np.uint64(need != ZERO)
    whole = np.uint64(fits(need, count) == THREE) & some
    some &= np.uint64((count >> tree[at + SOURCE]) & LOW_HALF != ZERO)
    if node <= LOW_SIX:
        return with_bits(full, node, ONE, whole), with_bits(part, node, ONE, some)
    word = node >> SIX << TWO
    tree[word + FULL] = with_bits(tree[word + FULL], node, ONE, whole)
    tree[word + PART] = with_bits(tree[word + PART], node, ONE, some)
    return full, part


@inlined_kernel
def note_output(node, ones, fit, empty, room, dry, tree):
    """Return the bits of kinds ROOM (a merger's output fits) and DRY (nothing is there or on its way), renewed."""
    if node <= LOW_SIX:
        return with_bits(room, node, ones, fit), with_bits(dry, node, ones, empty)
    word = node >> SIX << TWO
    tree[word + ROOM] = with_bits(tree[word + ROOM], node, ones, fit)
    tree[word + DRY] = with_bits(tree[word + DRY], node, ones, empty)
    return room, dry


@inlined_kernel
def enter(fifo, amount, tree):
    """Let elements enter a FIFO below the root, and note what that means for the node it feeds."""
    add(fifo, COUNT, amount, tree)
    tree[FULL], tree[PART] = note_window(fifo >> ONE, tree[FULL], tree[PART], tree)


@inlined_kernel
def note_root(tree):
    """Note what the root's FIFO has room for, and whether it holds less than a block."""
    tree[ROOM] = with_bits(tree[ROOM], ONE, ONE, np.uint64(held(ONE, USED, tree) <= held(ONE, LIMIT, tree)))
    tree[DRY] = with_bits(tree[DRY], ONE, ONE, np.uint64(tree[ROOT_COUNT] < tree[BLOCK]))


@lean_kernel
def look_everywhere(bits, tree):
    """Look at every node's first window."""
    for node in range(ONE, tree[LEAVES]):
        look_at_merge(record(node), bits, tree)
        tree[FULL], tree[PART] = note_window(node, tree[FULL], tree[PART], tree)
    note_root(tree)


@inlined_kernel
def part_of_window(at, bits, tree):
    """Return how much of a node's window is there: elements from left and right, in halves, and those that leave."""
    need, count, where = tree[at + NEED], tree[at + COUNT], tree[at + AT]
    take = (need & LOW_HALF) + (need >> HALF)
    side = next_bits(bits, where, ZERO)
    window = first_bits(take)
    left, right = min(count & LOW_HALF, LOW_SIX), min(count >> HALF, LOW_SIX)
    # The first element that is lacking, on either side.
    lacking = spread_bits(ONE << left, ~side & window) | spread_bits(ONE << right, side & window)
    got = np.uint64(lowest_one(lacking)) if lacking != ZERO else take
    mask = first_bits(got)
    from_right = np.uint64(count_ones(side & mask))
    return (got - from_right) | (from_right << HALF), np.uint64(count_ones(next_bits(bits, where, ONE) & mask))


@lean_kernel
def choose_node(layer, last, tree):
    """Return the node of a layer that its merger serves next, 0 if none can be served; and whether its window is there.

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
                    return base + np.uint64(lowest_one(able)), whole
            elif tree[CHOICE] == LOWEST and able != ZERO:
                return base + np.uint64(lowest_one(able)), whole
            while tree[CHOICE] == EMPTIEST and able != ZERO:
                node = base + np.uint64(lowest_one(able))
                if best == ZERO or held(node, COUNT, tree) < held(best, COUNT, tree):
                    best = node
                able &= able - ONE
        if best > ZERO:
            return best, whole
    return ZERO, ZERO


@inlined_kernel
def choose_everywhere(tree):
    """Write the nodes that all mergers serve next, as ``choose_node`` does; return where the last one stands."""
    to = CHOSEN
    layer, first = ZERO, ONE
    while first < tree[LEAVES]:
        node, whole = choose_node(layer, tree[SERVED + layer], tree)
        if node != ZERO:
            tree[SERVED + layer] = node
            tree[to] = node << ONE | whole
            to += ONE
        layer += ONE
        first += first
    return to


@inlined_kernel
def choose_in_turn(full, rest, tree):
    """Do what ``choose_everywhere`` does, for up to six layers and mergers that serve in turn.

    ``full`` and ``rest`` have the nodes that can be served by the whole window, or by a part of one.
    """
    to = CHOSEN
    able = full | rest
    while able != ZERO:
        layer = np.uint64(highest_one(np.uint64(lowest_one(able))))
        first = ONE << layer
        of_layer = ((ONE << first) - ONE) << first
        able &= ~of_layer
        whole = np.uint64(full & of_layer != ZERO)
        ready = (full if whole else rest) & of_layer
        last = tree[SERVED + layer]
        later = ready >> last >> ONE << ONE << last
        node = np.uint64(lowest_one(later if later != ZERO else ready))
        tree[SERVED + layer] = node
        tree[to] = node << ONE | whole
        to += ONE
    return to


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
    oldest, newest, ring = tree[OLDEST], tree[NEWEST], tree[RING]
    while oldest != newest and tree[results + ((oldest & ring) << ONE)] <= t:
        what = tree[results + ((oldest & ring) << ONE) + ONE]
        fifo, amount = what >> HALF, what & LOW_HALF
        oldest += ONE
        if fifo > ONE:
            add(fifo, COUNT, amount, tree)
            full, part = note_window(fifo >> ONE, full, part, tree)
        else:
            tree[ROOT_COUNT] += amount
            tree[COMING] -= amount
            dry = with_bits(dry, ONE, ONE, np.uint64(tree[ROOT_COUNT] < tree[BLOCK]))
    if tree[LEAVES] <= WORD_BITS and tree[CHOICE] == ROUND_ROBIN:
        end = choose_in_turn(full & room, part & dry & room, tree)
    else:
        tree[FULL], tree[PART], tree[ROOM], tree[DRY] = full, part, room, dry
        end = choose_everywhere(tree)
    for place in range(CHOSEN, end):
        node = tree[place] >> ONE
        at = record(node)
        need, leaving = tree[at + NEED], tree[at + LEAVING]
        if tree[place] & ONE == ZERO:
            need, leaving = part_of_window(at, bits, tree)
        taken = (need & LOW_HALF) + (need >> HALF)
        used = tree[at + USED] - need
        where = tree[at + AT]
        tree[at + COUNT] -= need
        tree[at + USED] = used
        tree[at + REST] -= taken
        tree[at + AT] = where + taken * np.uint64(where > LOW_SIX)
        look_at_merge(at, bits, tree)
        full, part = note_window(node, full, part, tree)
        child = node << ONE
        if child < tree[LEAVES]:
            room, dry = note_output(child, THREE, fits(used, tree[at + LIMIT]), fits(used, ZERO), room, dry, tree)
        else:
            tree[LEAF_NODE] = node
        out, side = record(node >> ONE), (node & ONE) << FIVE
        pair = tree[out + USED] + (leaving << side)
        tree[out + USED] = pair
        used = (pair >> side) & LOW_HALF
        empty = np.uint64(used == ZERO) if node > ONE else (dry >> ONE) & ONE
        fit = np.uint64(used <= (tree[out + LIMIT] >> side) & LOW_HALF)
        room, dry = note_output(node, ONE, fit, empty, room, dry, tree)
        tree[results + ((newest & ring) << ONE)] = t + tree[LATENCY]
        tree[results + ((newest & ring) << ONE) + ONE] = node << HALF | leaving
        newest += ONE
    tree[FULL], tree[PART], tree[ROOM], tree[DRY] = full, part, room, dry
    tree[OLDEST], tree[NEWEST] = oldest, newest
    tree[NEXT_DUE] = tree[results + ((oldest & ring) << ONE)] if oldest != newest else NOT_DUE
    return np.int64(end - CHOSEN)
