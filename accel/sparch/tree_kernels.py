"""SpArch's merge tree in time: what its FIFOs hold, which nodes can be served, and what serving one changes.

Nodes are numbered 1 (root), 2i and 2i + 1 below i; FIFO n is the output of node n or, from ``2 ** layers`` on, a slot.
A node has a record; of what it knows of its two inputs, the left one's number is in the low half of a word and the
right one's in the high half, so that one operation serves both. Record 0 has the root's FIFO as its right input.

What a merger needs to know of all nodes is one bit for each: word ``n >> 6``, bit ``n & 63``. The bits of the first
six layers are one word of each kind, which kernels hold in variables: ``full, part, room, dry``. Those of other nodes
stand in ``deep``, a word of each kind in turn; its first four words are scratch.

Source: Zhang et al., "SpArch", HPCA 2020: merge tree with one merger for each layer.
"""

import numpy as np

from accel.bits import count_ones, lowest_one, spread_bits
from accel.jit import inlined_kernel, lean_kernel

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
FULL, PART, ROOM, DRY = (np.uint64(n) for n in range(4))  # kinds of bits; see ``note_window`` and ``note_output``
ZERO, ONE, TWO, THREE, SIX, HALF, WORD_BITS = (np.uint64(n) for n in (0, 1, 2, 3, 6, 32, 64))
LOW_SIX, LOW_HALF, ALL = (np.uint64(n) for n in (63, 2**32 - 1, 2**64 - 1))
SIGNS = np.uint64(1 << 31 | 1 << 63)  # borrowed from by the halves of a difference that are below zero
ROUND_ROBIN, LOWEST, EMPTIEST = range(3)
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
def half_of(word, fifo):
    """Return what a word of a record says of an input."""
    return (word >> ((fifo & ONE) << np.uint64(5))) & LOW_HALF


@inlined_kernel
def held(fifo, field, nodes):
    """Return what the record of the node that a FIFO feeds says of it."""
    return half_of(nodes[(fifo >> ONE << RECORD_BITS) + field], fifo)


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
def look_at_merge(at, width, bits, nodes):
    """Write what a node takes next: a full window, or the last elements."""
    take = min(width, nodes[at + REST])
    mask = first_bits(take)
    where = nodes[at + AT]
    side = next_bits(bits, where, ZERO)
    from_right = np.uint64(count_ones(side & mask))
    nodes[at + NEED] = (take - from_right) | (from_right << HALF)
    nodes[at + LEAVING] = np.uint64(count_ones(next_bits(bits, where, ONE) & mask))
    nodes[at + SOURCE] = (side & ONE) << np.uint64(5)


@inlined_kernel
def note_window(node, nodes, full, part, deep):
    """Return the bits of kinds FULL (its whole window is there) and PART (its next element is), a node's renewed."""
    at = node << RECORD_BITS
    need, count = nodes[at + NEED], nodes[at + COUNT]
    some = np.uint64(need != ZERO)
    whole = np.uint64(fits(need, count) == THREE) & some
    some &= np.uint64((count >> nodes[at + SOURCE]) & LOW_HALF != ZERO)
    if node <= LOW_SIX:
        return with_bits(full, node, ONE, whole), with_bits(part, node, ONE, some)
    word = node >> SIX << TWO
    deep[word + FULL] = with_bits(deep[word + FULL], node, ONE, whole)
    deep[word + PART] = with_bits(deep[word + PART], node, ONE, some)
    return full, part


@inlined_kernel
def note_output(node, ones, fit, empty, room, dry, deep):
    """Return the bits of kinds ROOM (a merger's output fits) and DRY (nothing is there or on its way), renewed."""
    if node <= LOW_SIX:
        return with_bits(room, node, ones, fit), with_bits(dry, node, ones, empty)
    word = node >> SIX << TWO
    deep[word + ROOM] = with_bits(deep[word + ROOM], node, ones, fit)
    deep[word + DRY] = with_bits(deep[word + DRY], node, ones, empty)
    return room, dry


@inlined_kernel
def enter(fifo, amount, nodes, full, part, deep):
    """Let elements enter a FIFO below the root; return what that means for the node it feeds."""
    node = fifo >> ONE
    nodes[(node << RECORD_BITS) + COUNT] += amount << ((fifo & ONE) << np.uint64(5))
    return note_window(node, nodes, full, part, deep)


@lean_kernel
def part_of_window(at, bits, nodes):
    """Return how much of a node's window is there: elements from left and right, in halves, and those that leave."""
    need, count, where = nodes[at + NEED], nodes[at + COUNT], nodes[at + AT]
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


@inlined_kernel
def serve(node, whole, width, leaves, bits, nodes, full, part, room, dry, deep):
    """Let a merger take a node's window, or what there is of it; return how many elements leave, and all bits."""
    at = node << RECORD_BITS
    need, leaving = nodes[at + NEED], nodes[at + LEAVING]
    if not whole:
        need, leaving = part_of_window(at, bits, nodes)
    taken = (need & LOW_HALF) + (need >> HALF)
    nodes[at + COUNT] -= need
    used = nodes[at + USED] - need
    nodes[at + USED] = used
    nodes[at + REST] -= taken
    where = nodes[at + AT]
    nodes[at + AT] = where + taken * np.uint64(where > LOW_SIX)
    look_at_merge(at, width, bits, nodes)
    full, part = note_window(node, nodes, full, part, deep)
    child = node << ONE
    if child < leaves:
        room, dry = note_output(child, THREE, fits(used, nodes[at + LIMIT]), fits(used, ZERO), room, dry, deep)
    out, side = node >> ONE << RECORD_BITS, (node & ONE) << np.uint64(5)
    used = nodes[out + USED] + (leaving << side)
    nodes[out + USED] = used
    mine = (used >> side) & LOW_HALF
    fit = np.uint64(mine <= (nodes[out + LIMIT] >> side) & LOW_HALF)
    room, dry = note_output(node, ONE, fit, np.uint64(mine == ZERO), room, dry, deep)
    return leaving, full, part, room, dry


@lean_kernel
def choose_node(layer, last, choice, deep, nodes):
    """Return the node of a layer that its merger serves next, 0 if none can be served; all bits are in ``deep``."""
    first = ONE << np.uint64(layer)
    of_layer = ((ONE << first) - ONE) << first if layer < SMALL_LAYERS else ALL
    for whole in (True, False):
        best = ZERO
        word = first >> SIX
        while word <= (first + first - ONE) >> SIX:
            at, base = word << TWO, word << SIX
            able = deep[at + ROOM] & (deep[at + FULL] if whole else deep[at + PART] & deep[at + DRY]) & of_layer
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
                if best == ZERO or held(node, COUNT, nodes) < held(best, COUNT, nodes):
                    best = node
                able &= able - ONE
        if best > ZERO:
            return best
    return ZERO


@inlined_kernel
def choose_in_turn(layers, full, part, room, dry, served, chosen):
    """Write the nodes that the mergers of up to six layers serve next, in turn; return how many do."""
    ready, rest = full & room, part & dry & room
    count = ZERO
    for n in range(layers):
        layer = np.uint64(n)
        first = ONE << layer
        of_layer = ((ONE << first) - ONE) << first
        able = ready & of_layer
        able = able if able != ZERO else rest & of_layer
        last = served[layer]
        later = able >> last >> ONE << ONE << last
        later = later if later != ZERO else able
        node = np.uint64(lowest_one(later)) if later != ZERO else last
        served[layer] = node
        chosen[count] = node
        count += np.uint64(able != ZERO)
    return count
