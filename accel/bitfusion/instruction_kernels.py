"""How many instructions the block of a layer has.

Source: Sharma et al., "Bit Fusion", ISCA 2018: one block per layer sets the fusion, nests loops, generates addresses
loop by loop, and moves and computes tiles. How loops are cut into instructions is stated in docs/bitfusion.md.
"""

from accel.arithmetic import ceil_div
from accel.bitfusion.block_kernels import (
    ACTIVATIONS,
    B_PLACE,
    B_REGION,
    B_TILE,
    B_TILES,
    B_UNITS_COLUMNS,
    BLOCK_COUNTERS,
    OF_SUMS,
    OF_WEIGHTS,
    SUMS,
    WEIGHTS,
    activations_follow,
)
from accel.bitfusion.kernels import (
    LOOP_B,
    LOOP_H,
    LOOP_IC,
    LOOP_OC,
    LOOP_W,
    P_ACT_BITS,
    P_DEPTHWISE,
    P_GROUPS,
    P_IM2COL,
    P_KERNEL_H,
    P_KERNEL_W,
    P_LANES,
    P_WGT_BITS,
    operand_passes,
)
from accel.jit import lean_kernel

INSTRUCTIONS = (
    "setup", "loop", "gen_addr", "ld_mem", "st_mem", "rd_buf", "wr_buf", "compute", "block_end",
)  # fmt: skip
LAYER_COUNTERS = (*BLOCK_COUNTERS, *(f"{instruction}_instructions" for instruction in INSTRUCTIONS))
SETUP, LOOP, GEN_ADDR, LD_MEM, ST_MEM, RD_BUF, WR_BUF, EXECUTE, BLOCK_END = range(
    len(BLOCK_COUNTERS), len(LAYER_COUNTERS)
)


@lean_kernel
def count_instructions(block, counters):
    """Write how many instructions of each kind the block has.

    A loop of one iteration has none. Every access to the DRAM or to a buffer has an address instruction for each
    loop that moves it.
    """
    spills = block[B_TILES + LOOP_IC] > 1 and block[B_PLACE + LOOP_IC] < block[B_REGION + SUMS]
    groups = block[P_GROUPS] > 1
    loops = groups
    for loop in range(5):
        loops += block[B_TILES + loop] > 1
    weights = dram_loops(block, OF_WEIGHTS) + groups
    activations = dram_loops(block, activations_follow(block)) + groups
    sums = dram_loops(block, OF_SUMS) + groups
    act_passes = operand_passes(block[P_ACT_BITS]) > 1
    wgt_passes = operand_passes(block[P_WGT_BITS]) > 1
    images = (block[B_TILE + LOOP_B] > 1) + (block[B_TILE + LOOP_W] > 1) + (block[B_TILE + LOOP_H] > 1)
    window, columns = window_loops(block), ceil_div(block[B_TILE + LOOP_OC], block[B_UNITS_COLUMNS]) > 1
    read_weights = window + columns + wgt_passes + buffer_loops(block, WEIGHTS, OF_WEIGHTS)
    read_inputs = window + images + act_passes + buffer_loops(block, ACTIVATIONS, activations_follow(block))
    if block[P_DEPTHWISE]:
        read_inputs += columns
    touch_sums = images + columns + buffer_loops(block, SUMS, OF_SUMS)
    counters[SETUP] = counters[ST_MEM] = counters[WR_BUF] = counters[EXECUTE] = counters[BLOCK_END] = 1
    counters[LOOP] = loops + images + window + columns + act_passes + wgt_passes
    counters[LD_MEM] = 2 + spills
    counters[RD_BUF] = 3
    counters[GEN_ADDR] = weights + activations + sums * (1 + spills) + read_weights + read_inputs + 2 * touch_sums


@lean_kernel
def dram_loops(block, indexed):
    """Loops over tiles that move an operand's address in DRAM."""
    loops = 0
    for loop in range(5):
        loops += indexed >> loop & 1 and block[B_TILES + loop] > 1
    return loops


@lean_kernel
def buffer_loops(block, operand, indexed):
    """Loops over tiles that move an operand's address in its buffer, because that holds several of its tiles."""
    loops = 0
    for loop in range(5):
        inside = block[B_PLACE + loop] >= block[B_REGION + operand]
        loops += inside and indexed >> loop & 1 and block[B_TILES + loop] > 1
    return loops


@lean_kernel
def window_loops(block):
    """Loops over the window and the input channels of a tile, lanes of the array at a time."""
    window = block[P_KERNEL_W] * block[P_KERNEL_H]
    if block[P_IM2COL]:
        return ceil_div(window * block[B_TILE + LOOP_IC], block[P_LANES]) > 1
    slices = ceil_div(block[B_TILE + LOOP_IC], block[P_LANES])
    return (block[P_KERNEL_W] > 1) + (block[P_KERNEL_H] > 1) + (slices > 1)
