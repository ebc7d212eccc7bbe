"""A sample of a product on SpArch: slabs of A's rows, cycle by cycle, and what they say of the whole.

A slab's rows run through the rounds of the whole product, one slab after the other, without a pause between them. What
a round takes between the first and the last element of its result grows with its products and is scaled by them; its
beginning and its end are those of the whole round, and are not. Before every slab there are rows that are run and not
measured, so that the memory has the slab's pages open, and before those, rows that only the prefetcher walks, so that
its buffer holds about what it would.

Source: systematic sampling with warm-up, Wunderlich et al., "SMARTS: Accelerating Microarchitecture Simulation via
Rigorous Statistical Sampling", ISCA 2003.
"""

from __future__ import annotations

import numpy as np

from accel.sparch import timing_kernels
from accel.sparch.config import Config
from accel.sparch.plan import IndexArray, Positions, SamplePlan
from accel.sparch.prefetch_kernels import NOWHERE
from accel.sparch.run import EVENTS, Run, Stream, Units, named
from accel.sparch.timing_kernels import UNIT_AFTER, UNIT_LENGTH, UNIT_LOADER, UNIT_NEXT, UNIT_SLOT
from accel.sparch.trace import Trace


class SampledRun(Run):
    """A machine that runs a sample's slabs, and counts for the whole product."""

    counters = (*Run.counters, "sampled_multiplies")

    def __init__(self, config: Config, sample: SamplePlan, trace: Trace) -> None:
        super().__init__(config, sample.slabs, trace)
        self.sample = sample
        self.slots, self.walks = _walks(sample)
        self.walks_all = len(sample.multiplied) == sample.product.a.nnz

    def counted(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the cycles by cause and the events of the whole product, as far as the sample tells them."""
        sample, a = self.sample, self.plan.product.a
        measured = int(np.diff(self.plan.product.b.indptr)[a.indices[sample.measured]].sum())
        of_measured, of_run = (sample.multiplies / max(1, part) for part in (measured, sample.sampled_multiplies))
        with_work = max(1, sum(bool(events.any()) for events in self.events))
        cycles = np.zeros(len(timing_kernels.CAUSES))
        for stack in self.stacks:
            cycles += stack[timing_kernels.EDGE] * len(self.stacks) / with_work
            cycles += stack[timing_kernels.STEADY] * of_measured
        totals = sum(self.events, np.zeros(len(EVENTS)))
        events = named(np.rint(of_run * totals).astype(np.int64))
        if self.walks_all:
            events["missed"] = int(totals[EVENTS.index("missed")])
        events["looked_ahead"] = sample.looked_ahead
        events["found"] = sample.multiplies - events["missed"]
        events["refetched_elements"] = max(events["refetched_elements"], events["bypassed_elements"] - events["found"])
        events["reloaded"] = events["spilled"]  # all of it, once
        events["sampled_multiplies"] = sample.sampled_multiplies
        return dict(zip(timing_kernels.CAUSES, np.rint(cycles).astype(np.int64).tolist(), strict=True)), events

    def keep_bounds(self, stack: dict[str, int], compute_bound: int, bandwidth_bound: int) -> None:
        """Raise scaled cycles to what the scaled work takes at least."""
        lacking = max(compute_bound, bandwidth_bound) - sum(stack.values())
        if lacking > 0:
            stack["multiply" if compute_bound > bandwidth_bound else "write"] += lacking

    def _multiplies(self, index: int) -> bool:
        """Tell whether a round of the whole multiplies, or only merges what was read back."""
        if not self.plan.pipelined_merge:
            return index == 0
        return bool(self.plan.rounds[index][0] < self.plan.leaves)

    def _marks(self, stream: Stream) -> IndexArray:
        first_round = 0 if self.plan.pipelined_merge else 1
        if len(self.stacks) < first_round:  # products leave as they come
            made = np.append(0, np.cumsum(np.diff(self.plan.product.b.indptr)[stream.k]))
            marks = made[np.flatnonzero(np.diff(self.sample.measured[stream.position], prepend=False))]
        else:
            marks = self.trace.rounds[len(self.stacks) - first_round].marks
        return np.append(marks, timing_kernels.NEVER)

    def _place(self, stream: Stream) -> Units:
        """Place units among those of rows that are only walked, and leave these out."""
        multiplied = self.sample.multiplied
        if not self._multiplies(len(self.stacks)) or multiplied.all():
            return super()._place(stream)
        walk, slots = self.walks[len(self.stacks)], len(stream.slot_reloads)
        walked = Stream(
            slot=np.where(multiplied[walk], self.slots[walk], slots).astype(np.int32),
            k=self.plan.product.a.indices[walk],
            position=walk,
            slot_reloads=np.append(stream.slot_reloads, -1),  # a slot for what is only walked
        )
        units = super()._place(walked)
        kept = units.records[:, UNIT_SLOT] < slots
        number = np.append(np.where(kept, np.cumsum(kept) - 1, NOWHERE), NOWHERE).astype(np.int32)
        records = units.records[kept]
        for field in (UNIT_NEXT, UNIT_LOADER, UNIT_AFTER):
            records[:, field] = number[records[:, field]]
        first = number[units.first[:-1]]
        if self.walks_all:
            return Units(records, first, units.found, units.missed)
        length = records[:, UNIT_LENGTH]
        missed = int(length[records[:, UNIT_LOADER] == np.arange(len(records))].sum())
        return Units(records, first, int(length.sum()) - missed, missed)


def _walks(sample: SamplePlan) -> tuple[IndexArray, list[Positions]]:
    """Return the slot that each element feeds, and of each round that may multiply, the elements it walks, in order."""
    leaves = sample.element_leaves
    if not sample.slabs.pipelined_merge:
        by_leaf = np.concatenate([np.empty(0, np.int32), *_in_groups(leaves, sample.leaves)])
        return np.zeros(len(leaves), np.int64), [by_leaf]
    slot_of, round_of = np.full((2, sample.leaves + 1), NOWHERE)
    for index, inputs in enumerate(sample.rounds):
        merged = inputs[inputs < sample.leaves]
        slot_of[merged] = np.arange(len(merged))
        round_of[merged] = index
    return slot_of[leaves], _in_groups(round_of[leaves], len(sample.rounds))


def _in_groups(group: IndexArray | Positions, groups: int) -> list[Positions]:
    """Return the elements of each group, in order; those of group -1 are left out."""
    within = np.flatnonzero(group >= 0).astype(np.int32)
    order = within[np.argsort(group[within].astype(np.min_scalar_type(groups)), kind="stable")]
    return np.split(order, np.cumsum(np.bincount(group[within], minlength=groups)))[:groups]
