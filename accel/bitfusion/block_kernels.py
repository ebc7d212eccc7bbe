"""BitFusion as a machine: what the block of a layer asks of the array and of the DRAM, tile by tile.

Source: Sharma et al., "Bit Fusion", ISCA 2018, for the array, its buffers and the blocks of instructions. What is not
published there is an assumption, stated in docs/bitfusion.md.

A layer is one block: a nest of loops over tiles, the groups outside, then the five loops of its mapping. A fold is a
run of tiles for which everything is in the current halves of the buffers: the array computes them from one fill to one
drain. The loops inside which all three operands are held are inside a fold; the others go from fold to fold. What a
fold needs, and what it leaves to be stored, follows from its place in the nest alone, so that folds can be run one
after another, or counted by kinds.
"""

from accel.arithmetic import ceil_div
from accel.bitfusion.kernels import (
    ACCUMULATOR_BITS,
    COUNTERS,
    IBUF_HALF_BITS,
    LOOP_B,
    LOOP_H,
    LOOP_IC,
    LOOP_OC,
    LOOP_W,
    OBUF_HALF_BITS,
    ORDER,
    ORDERS,
    P_ACT_BITS,
    P_DEPTHWISE,
    P_GROUPS,
    P_IM2COL,
    P_KERNEL_H,
    P_KERNEL_W,
    P_REACH_H,
    P_REACH_W,
    P_STRIDE,
    P_WGT_BITS,
    PROBLEM_COLUMNS,
    ROWS,
    UNITS_COLUMNS,
    WBUF_HALF_BITS,
    footprints,
    operand_passes,
    pose,
    reduction_steps,
)
from accel.jit import kernel, lean_kernel

# A block: the problem it solves (columns of ``kernels.pose``), then how it is laid on the machine.
B_ROWS, B_UNITS_COLUMNS, B_OUT_BITS, B_SUMS_STAY = range(PROBLEM_COLUMNS, PROBLEM_COLUMNS + 4)
B_TILE = B_SUMS_STAY + 1  # size of a full tile along each loop
B_TILES = B_TILE + 5  # tiles along each loop
B_FOLD = B_TILES + 5  # size of a full fold along each loop
B_LAST = B_FOLD + 5  # size of the last fold along each loop
B_PLACE = B_LAST + 5  # place of each loop in the nest
B_COUNT = B_PLACE + 5  # folds at each place of the nest, outermost first; 1 inside a fold
PLACES = 6  # the groups, then the five loops
B_REGION = B_COUNT + PLACES  # per operand: the first place whose loops are inside what its buffer holds
BLOCK_COLUMNS = B_REGION + 3
WEIGHTS, ACTIVATIONS, SUMS = range(3)

# The loops that select another part of an operand, as bits. A depthwise layer's activations follow its output channels.
OF_WEIGHTS = 1 << LOOP_IC | 1 << LOOP_OC
OF_ACTIVATIONS = 1 << LOOP_B | 1 << LOOP_W | 1 << LOOP_H | 1 << LOOP_IC
OF_SUMS = 1 << LOOP_B | 1 << LOOP_W | 1 << LOOP_H | 1 << LOOP_OC

# What is counted of a block: the published counters, and what the machine adds to them.
BLOCK_COUNTERS = (
    *COUNTERS, "fill_drain_cycles", "weight_load_cycles", "dram_read_wait_cycles", "dram_write_wait_cycles",
    "spilled_bits", "read_padding_bits", "write_padding_bits", "folds", "macs",
)  # fmt: skip
FILL_DRAIN, WEIGHT_LOAD, READ_WAIT, WRITE_WAIT, SPILLED, READ_PADDING, WRITE_PADDING, FOLDS, MACS = range(10, 19)

# What the array does in a fold.
VECTORS, LOADING, WBUF_READS, IBUF_READS, ACCUMULATIONS, PRODUCTS = range(6)
WORK_COLUMNS = 6


@kernel
def lay_block(layer, machine, mapping, out_bits, block):
    """Write the block of a layer under a mapping whose tiles fit half of the buffers.

    Contract
    --------
    layer    : int64[16], machine : int64[MACHINE_COLUMNS], mapping : int64[MAPPING_COLUMNS]
    out_bits : width at which finished outputs leave
    block    : int64[BLOCK_COLUMNS]  written
    """
    pose(layer, machine, block)
    block[B_ROWS], block[B_UNITS_COLUMNS], block[B_OUT_BITS] = machine[ROWS], machine[UNITS_COLUMNS], out_bits
    order = ORDERS[mapping[ORDER]]
    for place in range(1, PLACES):
        loop = order[place - 1]
        block[B_PLACE + loop], block[B_TILE + loop] = place, mapping[loop]
        block[B_TILES + loop] = ceil_div(block[loop], mapping[loop])
    b, w, h, ic, oc = mapping[LOOP_B], mapping[LOOP_W], mapping[LOOP_H], mapping[LOOP_IC], mapping[LOOP_OC]
    weights, activations, sums = footprints(block, machine, b, w, h, ic, oc)
    halves = (machine[WBUF_HALF_BITS], machine[IBUF_HALF_BITS], machine[OBUF_HALF_BITS])
    block[B_REGION + WEIGHTS] = region_start(block, order, weights, halves[WEIGHTS], OF_WEIGHTS)
    follow = activations_follow(block)
    block[B_REGION + ACTIVATIONS] = region_start(block, order, activations, halves[ACTIVATIONS], follow)
    block[B_REGION + SUMS] = region_start(block, order, sums, halves[SUMS], OF_SUMS)
    block[B_SUMS_STAY] = sums_stay(block, b * w * h, ic, oc)

    inside = max(block[B_REGION + WEIGHTS], block[B_REGION + ACTIVATIONS], block[B_REGION + SUMS])
    block[B_COUNT] = block[P_GROUPS]
    for place in range(1, PLACES):
        loop = order[place - 1]
        count = block[B_TILES + loop] if place < inside else 1
        fold = block[B_TILE + loop] if place < inside else block[loop]
        block[B_COUNT + place], block[B_FOLD + loop] = count, fold
        block[B_LAST + loop] = block[loop] - (count - 1) * fold


@lean_kernel
def activations_follow(block):
    """Return the loops that select another part of the activations."""
    return OF_SUMS if block[P_DEPTHWISE] else OF_ACTIVATIONS


@lean_kernel
def region_start(block, order, footprint, half_bits, indexed):
    """Return the first place of the nest inside which half a buffer holds all tiles of an operand.

    What is inside is loaded, or stored, once; every iteration of a loop further out does it again. A group's
    operands are its own.
    """
    held = footprint
    for place in range(PLACES - 1, 0, -1):
        if indexed >> order[place - 1] & 1:
            held *= block[B_TILES + order[place - 1]]
            if held > half_bits:
                return place + 1
    return 1


@lean_kernel
def sums_stay(block, pixels, ic, oc):
    """Choose what stays at the array while a tile is computed: the sums of an output, or the weights of a pass.

    The one that reads fewer bits from the buffers; inputs are read alike.
    """
    act_passes, wgt_passes = operand_passes(block[P_ACT_BITS]), operand_passes(block[P_WGT_BITS])
    weights = block[P_KERNEL_W] * block[P_KERNEL_H] * ic * oc * block[P_WGT_BITS] * act_passes
    sums = 2 * pixels * oc * ACCUMULATOR_BITS
    if_sums = weights * pixels + sums
    return if_sums <= weights + sums * reduction_steps(block, ic) * act_passes * wgt_passes


@lean_kernel
def size_of(block, index, loop):
    """Return the true size of a fold along a loop."""
    place = block[B_PLACE + loop]
    last = index[place] == block[B_COUNT + place] - 1
    return block[B_LAST + loop] if last else block[B_FOLD + loop]


@lean_kernel
def tiles_in(block, size, loop):
    """Return the tiles along a loop that a fold of some size consists of."""
    return ceil_div(size, block[B_TILE + loop])


@lean_kernel
def first_of_region(block, index, operand, indexed):
    """Say whether a fold is the first to need its part of an operand since the buffer took in the region."""
    for loop in range(5):
        place = block[B_PLACE + loop]
        if not indexed >> loop & 1 and place >= block[B_REGION + operand] and index[place] > 0:
            return False
    return True


@lean_kernel
def weight_bits(block, index):
    """Return the bits of weights a fold waits for; 0 if they are there."""
    if not first_of_region(block, index, WEIGHTS, OF_WEIGHTS):
        return 0
    window = block[P_KERNEL_W] * block[P_KERNEL_H]
    return window * size_of(block, index, LOOP_IC) * size_of(block, index, LOOP_OC) * block[P_WGT_BITS]


@lean_kernel
def activation_bits(block, index):
    """Return the bits of activations a fold waits for: pixels under its windows once, or the windows if so stored."""
    if not first_of_region(block, index, ACTIVATIONS, activations_follow(block)):
        return 0
    w, h = size_of(block, index, LOOP_W), size_of(block, index, LOOP_H)
    if block[P_IM2COL]:
        pixels = w * h * block[P_KERNEL_W] * block[P_KERNEL_H]
    else:
        reach_w, reach_h, stride = block[P_REACH_W], block[P_REACH_H], block[P_STRIDE]
        pixels = (reach_w + (w - 1) * min(stride, reach_w)) * (reach_h + (h - 1) * min(stride, reach_h))
    channels = size_of(block, index, LOOP_OC if block[P_DEPTHWISE] else LOOP_IC)
    return pixels * channels * size_of(block, index, LOOP_B) * block[P_ACT_BITS]


@lean_kernel
def outputs_of(block, index):
    """Return how many outputs a fold has."""
    pixels = size_of(block, index, LOOP_B) * size_of(block, index, LOOP_W) * size_of(block, index, LOOP_H)
    return pixels * size_of(block, index, LOOP_OC)


@lean_kernel
def sum_bits(block, index):
    """Return the bits of partial sums a fold waits for: if they were spilled before."""
    place = block[B_PLACE + LOOP_IC]
    spilled = place < block[B_REGION + SUMS] and index[place] > 0
    if not spilled or not first_of_region(block, index, SUMS, OF_SUMS):
        return 0
    return outputs_of(block, index) * ACCUMULATOR_BITS


@lean_kernel
def stored_width(block, index):
    """Return the width at which a fold's outputs leave after it: 0 if they stay, 32 bits for partial sums."""
    place = block[B_PLACE + LOOP_IC]
    last = index[place] == block[B_COUNT + place] - 1
    if last:
        return block[B_OUT_BITS]
    return ACCUMULATOR_BITS if place < block[B_REGION + SUMS] else 0


@lean_kernel
def weights_are_new(block, index):
    """Say whether a fold computes with other weights than the fold before it."""
    carried = 0  # the place whose loop went on; those inside it started anew
    for place in range(PLACES):
        if index[place] > 0:
            carried = place
    if carried == 0:
        return True  # a new group, or the first fold of all
    for loop in (LOOP_IC, LOOP_OC):
        place = block[B_PLACE + loop]
        if place >= carried and block[B_COUNT + place] > 1:
            return True
    return False


@lean_kernel
def array_columns(block, oc):
    """Return how often the tiles of ``oc`` output channels take the columns of the array."""
    tile, columns = block[B_TILE + LOOP_OC], block[B_UNITS_COLUMNS]
    return oc // tile * ceil_div(tile, columns) + ceil_div(oc % tile, columns)


@lean_kernel
def array_steps(block, ic):
    """Return the cycles one output takes to add up the tiles of ``ic`` input channels, pass by pass."""
    tile = block[B_TILE + LOOP_IC]
    steps = ic // tile * reduction_steps(block, tile)
    if ic % tile:
        steps += reduction_steps(block, ic % tile)
    return steps * operand_passes(block[P_ACT_BITS]) * operand_passes(block[P_WGT_BITS])


@lean_kernel
def work_of(block, index, work):
    """Write what the array does in a fold into ``work`` (int64[WORK_COLUMNS])."""
    b, w, h = size_of(block, index, LOOP_B), size_of(block, index, LOOP_W), size_of(block, index, LOOP_H)
    ic, oc = size_of(block, index, LOOP_IC), size_of(block, index, LOOP_OC)
    pixels, outputs = b * w * h, b * w * h * oc
    depth = block[P_KERNEL_W] * block[P_KERNEL_H] * ic
    columns, steps = array_columns(block, oc), array_steps(block, ic)
    readers = oc if block[P_DEPTHWISE] else columns  # a row of units shares its input
    work[VECTORS] = pixels * columns * steps
    work[LOADING] = block[B_ROWS] if weights_are_new(block, index) else 0
    work[IBUF_READS] = pixels * depth * readers * block[P_ACT_BITS] * operand_passes(block[P_WGT_BITS])
    work[WBUF_READS] = depth * oc * block[P_WGT_BITS] * operand_passes(block[P_ACT_BITS])
    if block[B_SUMS_STAY]:
        work[WBUF_READS] *= pixels
        work[ACCUMULATIONS] = outputs * tiles_in(block, ic, LOOP_IC)
    else:
        work[WBUF_READS] *= tiles_in(block, b, LOOP_B) * tiles_in(block, w, LOOP_W) * tiles_in(block, h, LOOP_H)
        work[ACCUMULATIONS] = outputs * steps
    work[PRODUCTS] = outputs * depth


@lean_kernel
def following(block, index):
    """Step to the next fold; return whether there is one."""
    for place in range(PLACES - 1, -1, -1):
        index[place] += 1
        if index[place] < block[B_COUNT + place]:
            return True
        index[place] = 0
    return False


@lean_kernel
def preceding(block, index):
    """Step back to the fold before; return whether there is one."""
    for place in range(PLACES - 1, -1, -1):
        if index[place] > 0:
            index[place] -= 1
            return True
        index[place] = block[B_COUNT + place] - 1
    return False


@lean_kernel
def bursts_read(block, index, burst_bits):
    """Return the whole bursts that bring what a fold waits for; each operand's tile starts at a burst of its own."""
    return (
        ceil_div(weight_bits(block, index), burst_bits)
        + ceil_div(activation_bits(block, index), burst_bits)
        + ceil_div(sum_bits(block, index), burst_bits)
    )


@lean_kernel
def bursts_written(block, index, burst_bits):
    """Return the whole bursts that store what leaves after a fold."""
    return ceil_div(outputs_of(block, index) * stored_width(block, index), burst_bits)
