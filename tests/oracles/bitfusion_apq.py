"""The rules of docs/bitfusion.md for APQ's table, walked tile by tile: the oracle of the closed form."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from itertools import product as every

from workloads.layers import Layer

LOOPS = ("b", "w", "h", "ic", "oc")
INDEXES = {"weights": {"ic", "oc"}, "inputs": {"b", "w", "h", "ic"}, "outputs": {"b", "w", "h", "oc"}}
ALL_ORDERS = tuple(permutations(LOOPS))
Tile = dict[str, int]


@dataclass(frozen=True)
class Machine:
    """Rows and columns of units, bytes of the three buffers, bits a cycle of the port, energies of a unit of work."""

    rows: int
    columns: int
    bytes_of: dict[str, int]
    port_bits: int
    pj: dict[str, float]


@dataclass(frozen=True)
class Group:
    """One group of a layer: sizes of its loops, its window, and how often it runs."""

    size: Tile
    kernel_w: int
    kernel_h: int
    reach_w: int
    reach_h: int
    stride: int
    act_bits: int
    wgt_bits: int
    unrolled: bool
    products: int
    repeats: int


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def stored(bits: int) -> int:
    return next(width for width in (2, 4, 8) if width >= bits)


def group_of(layer: Layer) -> Group:
    """Return what runs again and again: a group of a grouped layer, 8 or more channels of a depthwise one."""
    products = (8 // max(layer.act_bits, 2)) * (8 // max(layer.wgt_bits, 2))
    ic, oc, repeats = layer.in_c // layer.groups, layer.out_c // layer.groups, layer.groups
    if layer.kind == "depthwise":
        ic = oc = 8 * products
        repeats = ceil_div(layer.in_c, ic)
    size = {"b": layer.batch, "w": layer.out_w, "h": layer.out_h, "ic": ic, "oc": oc}
    return Group(
        size, layer.kernel_w, layer.kernel_h, layer.reach_w, layer.reach_h, layer.stride, layer.act_bits,
        layer.wgt_bits, bool(layer.reads_input), products, repeats,
    )  # fmt: skip


def tile_bits(group: Group, machine: Machine, tile: Tile, *, in_buffer: bool) -> dict[str, int]:
    """Bits of a tile: at its own size for the port, padded and at stored widths for a buffer."""
    ic, oc, act, wgt = tile["ic"], tile["oc"], group.act_bits, group.wgt_bits
    if in_buffer:
        lanes = machine.rows * group.products
        ic, oc = ceil_div(ic, lanes) * lanes, ceil_div(oc, machine.columns) * machine.columns
        act, wgt = stored(act), stored(wgt)
    if group.unrolled:
        pixels = tile["w"] * tile["h"] * group.kernel_w * group.kernel_h
    else:
        width = group.reach_w + (tile["w"] - 1) * group.stride
        pixels = width * (group.reach_h + (tile["h"] - 1) * group.stride)
    return {
        "weights": group.kernel_w * group.kernel_h * ic * oc * wgt,
        "inputs": tile["b"] * pixels * ic * act,
        "outputs": tile["b"] * tile["w"] * tile["h"] * oc * 32,
    }


def fits(group: Group, machine: Machine, tile: Tile) -> bool:
    need = tile_bits(group, machine, tile, in_buffer=True)
    return all(2 * need[name] <= 8 * machine.bytes_of[name] for name in need)


def moved(group: Group, machine: Machine, tile: Tile, order: tuple[str, ...], name: str) -> tuple[int, int]:
    """Walk the loops and fetch a part whenever it changes; return the bits of all parts and of one."""
    steps = {loop: ceil_div(group.size[loop], tile[loop]) for loop in LOOPS}
    part = tile_bits(group, machine, tile, in_buffer=False)[name]
    fill = tile_bits(group, machine, tile, in_buffer=True)[name]
    outside = list(order)
    while outside:
        grows = steps[outside[-1]] if outside[-1] in INDEXES[name] else 1
        if grows * fill * 2 > 8 * machine.bytes_of[name]:
            break
        part, fill = part * grows, fill * grows
        outside.pop()
    fetches, last = 0, None
    for place in every(*(range(steps[loop]) for loop in outside)):
        fetches += place != last
        last = place
    return fetches * part, part


def count(group: Group, machine: Machine, tile: Tile, order: tuple[str, ...]) -> tuple[dict[str, int], float]:
    """Return one group's counters and energy [pJ]."""
    lanes, window = machine.rows * group.products, group.kernel_w * group.kernel_h
    ic, oc = tile["ic"], tile["oc"]
    steps = ceil_div(window * ic, lanes) if group.unrolled else window * ceil_div(ic, lanes)
    passes, pixels = ceil_div(oc, machine.columns), tile["b"] * tile["w"] * tile["h"]
    compute = ibuf = wbuf = sums = 0
    tiles = list(every(*(range(ceil_div(group.size[loop], tile[loop])) for loop in LOOPS)))
    for _ in tiles:
        compute += pixels * passes * steps
        ibuf += pixels * window * ic * group.act_bits
        wbuf += window * ic * oc * group.wgt_bits
        sums += pixels * oc * 32
    ways = (
        (ibuf, wbuf * pixels, steps),  # inputs stay
        (ibuf * passes, wbuf * pixels, 1),  # outputs stay
        (ibuf * passes, wbuf, steps),  # weights stay
    )
    pj = machine.pj
    i, w, times = min(
        ways,
        key=lambda way: (
            way[0] * pj["ibuf_read"]
            + way[1] * pj["wbuf_read"]
            + sums * (way[2] * pj["obuf_write"] + (way[2] - 1) * pj["obuf_read"])
        ),
    )
    (weights, first_w), (inputs, first_i), (outputs, last) = (
        moved(group, machine, tile, order, name) for name in INDEXES
    )
    port = machine.port_bits
    busy = compute + ceil_div(first_w + first_i + last, port) + ceil_div(last, port)
    reads = weights + inputs + outputs
    cycles = max(busy, ceil_div(reads, port) + ceil_div(outputs, port))
    counters = {
        "compute_cycles": compute,
        "wbuf_read_bits": w,
        "wbuf_write_bits": weights,
        "ibuf_read_bits": i,
        "ibuf_write_bits": inputs,
        "obuf_read_bits": sums * (times - 1) + outputs,
        "obuf_write_bits": sums * times + outputs,
        "dram_read_bits": reads,
        "dram_write_bits": outputs,
        "stall_cycles": cycles - compute,
    }
    energy = cycles * pj["static"] + compute * pj["core"]
    energy += sum(counters[f"{name}_bits"] * pj[name] for name in pj if f"{name}_bits" in counters)
    return counters, energy


def tilings(group: Group, machine: Machine) -> list[Tile]:
    """All tiles of the search: doubled sizes, width and height together, output channels from one array width."""

    def doubled(first: int, size: int) -> list[int]:
        sizes = [first]
        while sizes[-1] < size:
            sizes.append(2 * sizes[-1])
        return sizes

    size = group.size
    found = []
    for b, side, ic, oc in every(
        doubled(1, size["b"]),
        doubled(1, max(size["w"], size["h"])),
        doubled(1, size["ic"]),
        doubled(1 if group.unrolled else machine.columns, size["oc"]),
    ):
        wanted = {"b": b, "w": side, "h": side, "ic": ic, "oc": oc}
        found.append({loop: min(wanted[loop], size[loop]) for loop in LOOPS})
    return [tile for tile in found if fits(group, machine, tile)]


def best(group: Group, machine: Machine) -> tuple[int, float]:
    """Try everything; return the fewest cycles of a group, and the least energy [pJ] with so many."""
    found = []
    for tile in tilings(group, machine):
        for order in ALL_ORDERS:
            counters, energy = count(group, machine, tile, order)
            found.append((counters["compute_cycles"] + counters["stall_cycles"], energy))
    return min(found)
