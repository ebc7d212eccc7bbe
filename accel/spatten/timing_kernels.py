"""A layer on SpAtten, event by event: five streams of memory requests, and queries through the pipeline.

Source: Wang et al., SpAtten, HPCA 2021, and the authors' released model for latencies and the order of things;
docs/spatten.md states every rule. A *row* is one query of one head. Rows pass, in order,

    Q x K -> exponentials -> division -> (decision) -> top-k -> probability x V

A row that needs the rest of its keys' bits goes through the first three once more, before new rows, and rows behind it
wait for it before the top-k engine. The heads of a *group* share bursts in memory; their keys, the low bits of those,
and their values are fetched by one job each.

Streams issue lane groups of bursts, one group a cycle; the earliest goes first. Rows are worked out one by one and as
early as all they wait for is known, which is never later than the next event they could change. Cost: O(bursts + rows).
"""

from __future__ import annotations

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import inlined_kernel, lean_kernel

MACHINE = (
    "channels", "burst_cycles", "latency", "fetch_lanes", "fetch_queue", "line_keys", "softmax_lanes", "sram_lines",
    "in_flight", "recompute_queue", "decides", "late_values", "burst_bytes", "query_bytes", "output_bytes",
)  # fmt: skip
(CHANNELS, BURST_CYCLES, LATENCY, FETCH_LANES, FETCH_QUEUE, LINE_KEYS, SOFTMAX_LANES, SRAM_LINES, IN_FLIGHT,
 RECOMPUTE_QUEUE, DECIDES, LATE_VALUES, BURST_BYTES, QUERY_BYTES, OUTPUT_BYTES) = range(len(MACHINE))  # fmt: skip

CAUSES = ("pipeline", "q_read", "k_msb_read", "k_lsb_read", "v_read", "qk", "softmax", "topk", "pv", "output_write")
(PIPELINE, Q_READ, K_MSB_READ, K_LSB_READ, V_READ, QK, SOFTMAX, TOPK, PV, OUTPUT_WRITE) = range(len(CAUSES))

QK_LATENCY = 11  # SRAM 1, multiply 1, adder tree 9
SUM_LATENCY = 51  # to floating point 7, exponential 21, accumulate 23
PROBABILITY_LATENCY = 36  # divide 29, to fixed point 7
DECISION_LATENCY = 3  # tree of maxima
PV_LATENCY = 5  # SRAM 1, multiply 1, adder tree 3

NEVER = 2**62
QUERY, LOW_BITS, KEY, VALUE, WRITE, STREAMS = range(6)

# Columns of ``rows``: what a row is, then what became of it.
(GROUP, LOW_JOB, KEYS, VALUES, AGAIN, SELECT_CYCLES, QK_END, DECIDED, FIRST, LAST, CHOSEN, BUSY, WAITED_FOR, WAIT,
 ROW_COLUMNS) = range(15)  # fmt: skip
# Columns of ``jobs``: what is fetched, then what became of it. Keys of group g are job g, values job groups + g.
# A job fetches COUNT items, each of so many consecutive tokens; IN_ORDER says that rows use them from the first on.
(TOKENS, COUNT, TOKENS_EACH, BURSTS, LINES, NEED, ROWS_LEFT, IN_ORDER, READY, POSITION, ARRIVAL, LAST_USE, RELEASE,
 JOB_COLUMNS) = range(14)  # fmt: skip
# Elements of ``state``.
(FETCHER_FREE, BUSIEST, TURN, QK_FREE, SUM_FREE, DIVIDE_FREE, SUM_END, SUM_END_BEFORE, NEXT_ROW, WAITING, DECIDED_ROWS,
 FORWARDED, REPLAYED, TOPK_FREE, FINISHED, PV_FREE, DONE, QUERY_BLOCK, LOW_BEGUN, LOW_ASKED, WRITE_BEGUN, WRITE_ASKED,
 ROWS, WRITTEN, KEY_RING, VALUE_RING, STATE_SIZE) = (*range(25), 28, 32)  # fmt: skip
# Elements of a ring's state, from its place on.
NEXT_JOB, FREED, USED, ROOM_TIME = range(4)
WRITE_READY, WRITE_BURST, WRITE_COUNT = range(3)


@lean_kernel
def issue_run(t, burst, count, machine, free, state):
    """Request consecutive bursts, each of the next channel, from time ``t`` on; return when the last is on the chip."""
    channels, cycles = len(free), machine[BURST_CYCLES]
    begin = burst % channels
    latest = t
    while count > 0:
        end = min(begin + count, channels)
        for channel in range(begin, end):
            free[channel] = max(free[channel], t) + cycles
            latest = max(latest, free[channel])
        count -= end - begin
        begin = 0
    state[BUSIEST] = max(state[BUSIEST], latest)
    return latest + machine[LATENCY]


@lean_kernel
def issue(t, job, late, machine, jobs, tokens, arrivals, free, state):
    """Request the next lane group of a job, and note when each line of tokens is complete.

    Of values that are chosen as it goes, a group has those whose indices are there.
    """
    bursts, each, line_keys = jobs[job, BURSTS], jobs[job, TOKENS_EACH], machine[LINE_KEYS]
    position = jobs[job, POSITION]
    until = min(position + machine[FETCH_LANES], jobs[job, COUNT] * bursts)
    if late:
        until = min(until, (t - jobs[job, READY] + 1) * machine[SOFTMAX_LANES] // each * bursts)
    first_item, first_line = jobs[job, TOKENS], jobs[job, LINES]
    while position < until:  # the items that end on a line, or one
        item = position // bursts
        line = item * each // line_keys
        end = min(until, (item + max(1, (line + 1) * line_keys // each - item)) * bursts)
        last = (end - 1) // bursts
        arrival = np.int64(0)
        while position < end:  # those of them that lie one behind the other
            item = position // bursts
            begin = tokens[first_item + item]
            reached = end
            if tokens[first_item + last] - begin != last - item:
                reached = min(end, (item + 1) * bursts)
            run = issue_run(t, begin * bursts + position - item * bursts, reached - position, machine, free, state)
            arrival = max(arrival, run)
            position = reached
        for touched in range(first_line + line, first_line + ((last + 1) * each - 1) // line_keys + 1):
            arrivals[touched] = max(arrivals[touched], arrival)
        jobs[job, ARRIVAL] = max(jobs[job, ARRIVAL], arrival)
    jobs[job, POSITION] = until


@inlined_kernel
def issued(jobs, job):
    """Whether all of a job was requested, so that all arrivals are known."""
    return jobs[job, POSITION] == jobs[job, COUNT] * jobs[job, BURSTS]


@inlined_kernel
def lines_issued(jobs, job, lines, machine):
    """Whether the first lines of a job were requested, so that their arrivals are known."""
    items = min(ceil_div(lines * machine[LINE_KEYS], jobs[job, TOKENS_EACH]), jobs[job, COUNT])
    return jobs[job, POSITION] >= items * jobs[job, BURSTS]


@inlined_kernel
def ring_job_ready(ring, first_job, groups, machine, jobs, state):
    """Return when the next job of an SRAM can begin or go on: its lines are free, in the order they were taken."""
    if state[ring + NEXT_JOB] == groups:
        return NEVER
    job = first_job + state[ring + NEXT_JOB]
    if jobs[job, READY] == NEVER:
        return NEVER
    if jobs[job, POSITION] > 0:
        return jobs[job, READY]
    while (
        state[ring + USED] + jobs[job, NEED] > machine[SRAM_LINES]
        or state[ring + NEXT_JOB] - state[ring + FREED] >= machine[IN_FLIGHT]
    ):
        oldest = first_job + state[ring + FREED]
        if jobs[oldest, RELEASE] == NEVER:
            return NEVER
        state[ring + USED] -= jobs[oldest, NEED]
        state[ring + ROOM_TIME] = max(state[ring + ROOM_TIME], jobs[oldest, RELEASE])
        state[ring + FREED] += 1
    return max(jobs[job, READY], state[ring + ROOM_TIME])


@inlined_kernel
def ring_issue(t, ring, first_job, late, machine, jobs, tokens, arrivals, free, state):
    """Request a lane group for an SRAM."""
    job = first_job + state[ring + NEXT_JOB]
    if jobs[job, POSITION] == 0:
        state[ring + USED] += jobs[job, NEED]
    issue(t, job, late, machine, jobs, tokens, arrivals, free, state)
    if issued(jobs, job):
        state[ring + NEXT_JOB] += 1


@inlined_kernel
def query_ready(start, machine, rows, state):
    """Return when the next lane group of queries can be requested: two are held, until their last row was computed."""
    block = state[QUERY_BLOCK]
    block_bytes = machine[FETCH_LANES] * machine[BURST_BYTES]
    if block * block_bytes >= len(rows) * machine[QUERY_BYTES]:
        return NEVER
    if block < 2:
        return start
    user = ((block - 1) * block_bytes - 1) // machine[QUERY_BYTES]
    return rows[user, QK_END] + 1 if user < state[NEXT_ROW] else NEVER


@inlined_kernel
def new_row_start(machine, rows, jobs, arrivals, waiting, blocks, state):
    """Return when Q x K of the next row can begin, and what it waits for."""
    row = state[NEXT_ROW]
    if row == len(rows) or not lines_issued(jobs, rows[row, GROUP], 1, machine):
        return NEVER, QK
    begin, cause = state[QK_FREE], QK
    there = arrivals[jobs[rows[row, GROUP], LINES]]
    if there > begin:
        begin, cause = there, K_MSB_READ
    if machine[QUERY_BYTES] > 0:
        block = ((row + 1) * machine[QUERY_BYTES] - 1) // (machine[FETCH_LANES] * machine[BURST_BYTES])
        if block >= state[QUERY_BLOCK]:
            return NEVER, QK
        if blocks[block] > begin:
            begin, cause = blocks[block], Q_READ
    if state[SUM_END_BEFORE] + 1 - QK_LATENCY > begin:
        begin, cause = state[SUM_END_BEFORE] + 1 - QK_LATENCY, SOFTMAX
    blocked = state[WAITING] + machine[RECOMPUTE_QUEUE] // 2 - 1
    if blocked < state[DECIDED_ROWS] and rows[waiting[blocked], DECIDED] <= begin:
        return NEVER, QK
    return begin, cause


@inlined_kernel
def second_row_start(machine, rows, jobs, arrivals, waiting, state):
    """Return when Q x K of the first row that waits for its keys' other bits can begin, and what it waits for."""
    if state[WAITING] == state[DECIDED_ROWS]:
        return NEVER, QK
    row = waiting[state[WAITING]]
    if not lines_issued(jobs, rows[row, LOW_JOB], 1, machine):
        return NEVER, QK
    begin, cause = max(rows[row, DECIDED], arrivals[jobs[rows[row, LOW_JOB], LINES]]), K_LSB_READ
    if state[QK_FREE] > begin:
        begin, cause = state[QK_FREE], QK
    if state[SUM_END_BEFORE] + 1 - QK_LATENCY > begin:
        begin, cause = state[SUM_END_BEFORE] + 1 - QK_LATENCY, SOFTMAX
    return begin, cause


@inlined_kernel
def compute_row(row, begin, cause, job, second, machine, rows, jobs, arrivals, waiting, low_queue, state):
    """Take a row through Q x K and softmax; decide whether it has to come again."""
    keys = rows[row, KEYS]
    lines, beats = ceil_div(keys, machine[LINE_KEYS]), ceil_div(keys, machine[SOFTMAX_LANES])
    last = begin + lines - 1
    scored = begin + QK_LATENCY
    if begin < jobs[job, ARRIVAL]:
        last = begin - 1
        for line in range(lines):
            last = max(last + 1, arrivals[jobs[job, LINES] + line])
            left = ceil_div(keys - line * machine[LINE_KEYS], machine[SOFTMAX_LANES])
            scored = max(scored, last + QK_LATENCY + left - beats)
        if last > begin + lines - 1:
            cause = K_LSB_READ if second else K_MSB_READ
    wait_for(row, cause, last + 1 - lines - state[QK_FREE], rows)
    rows[row, BUSY] = QK
    state[QK_FREE] = last + 1
    summing = max(begin + QK_LATENCY, state[SUM_FREE])
    if summing > begin + QK_LATENCY:
        rows[row, BUSY], rows[row, WAIT] = SOFTMAX, 0
    summed = max(max(summing, scored) + beats - 1, last + QK_LATENCY)
    state[SUM_FREE] = summed + 1
    state[SUM_END_BEFORE], state[SUM_END] = state[SUM_END], summed
    dividing = max(summed + 1 + SUM_LATENCY, state[DIVIDE_FREE])
    state[DIVIDE_FREE] = dividing + beats
    rows[row, FIRST] = dividing + PROBABILITY_LATENCY
    rows[row, LAST] = rows[row, FIRST] + beats - 1
    final = last
    if not second:
        rows[row, QK_END] = last
        if machine[DECIDES]:
            final = rows[row, LAST] + 1 + DECISION_LATENCY
            rows[row, DECIDED] = final
            if rows[row, AGAIN]:
                waiting[state[DECIDED_ROWS]] = row
                state[DECIDED_ROWS] += 1
                ask_low_bits(rows[row, LOW_JOB], final, jobs, low_queue, state)
                rows[row, LAST] = NEVER
                return
            rows[row, FIRST], rows[row, LAST] = final, final + beats - 1
    release(rows[row, GROUP], final + 1, jobs)


@inlined_kernel
def wait_for(row, cause, cycles, rows):
    """Note that a row had to wait; what it waited for last hides what it waited for before."""
    if cycles > 0:
        rows[row, WAITED_FOR], rows[row, WAIT] = cause, cycles


@inlined_kernel
def ask_low_bits(job, t, jobs, low_queue, state):
    """Queue the fetch of a group's low bits, if it is the first to ask."""
    if jobs[job, READY] == NEVER:
        jobs[job, READY] = t
        low_queue[state[LOW_ASKED]] = job
        state[LOW_ASKED] += 1


@inlined_kernel
def release(job, t, jobs):
    """Note that a row is done with what a job fetched; its lines are free after the last."""
    jobs[job, ROWS_LEFT] -= 1
    jobs[job, LAST_USE] = max(jobs[job, LAST_USE], t)
    if jobs[job, ROWS_LEFT] == 0:
        jobs[job, RELEASE] = jobs[job, LAST_USE]


@inlined_kernel
def forward_rows(groups, machine, rows, jobs, state):
    """Take rows whose probabilities are final, in order, through the top-k engine."""
    while state[FORWARDED] < state[NEXT_ROW] and rows[state[FORWARDED], LAST] != NEVER:
        row = state[FORWARDED]
        keys, values = rows[row, KEYS], rows[row, VALUES]
        first = rows[row, FIRST]
        if state[REPLAYED] + 1 > first:
            first = state[REPLAYED] + 1
            rows[row, BUSY], rows[row, WAIT] = SOFTMAX, 0
        last = first + ceil_div(keys, machine[SOFTMAX_LANES]) - 1
        state[REPLAYED] = last
        chosen = max(first, state[TOPK_FREE])
        busy = chosen > first
        if values < keys:
            chosen += rows[row, SELECT_CYCLES]
            busy = busy or chosen > last + 1
            chosen = max(chosen, last + 1)
        if busy:
            rows[row, BUSY], rows[row, WAIT] = TOPK, 0
        state[TOPK_FREE] = chosen + ceil_div(values, machine[SOFTMAX_LANES])
        rows[row, CHOSEN] = chosen
        state[FORWARDED] += 1
        job = groups + rows[row, GROUP]
        if machine[LATE_VALUES]:
            last_of_group = row + 1 == len(rows) or rows[row + 1, GROUP] != rows[row, GROUP]
            if (last_of_group or jobs[job, IN_ORDER]) and jobs[job, READY] == NEVER:
                jobs[job, READY] = chosen


@inlined_kernel
def finish_rows(groups, machine, rows, jobs, arrivals, writes, stack, state):
    """Multiply forwarded rows with their values, in order, and hand their outputs to memory."""
    while state[FINISHED] < state[FORWARDED]:
        row = state[FINISHED]
        job = groups + rows[row, GROUP]
        values, chosen = rows[row, VALUES], rows[row, CHOSEN]
        lines = ceil_div(values, machine[LINE_KEYS])
        if not (lines_issued(jobs, job, lines, machine) if jobs[job, IN_ORDER] else issued(jobs, job)):
            return
        begin = max(chosen + (min(values, machine[LINE_KEYS]) - 1) // machine[SOFTMAX_LANES], state[PV_FREE])
        if state[PV_FREE] > chosen:
            rows[row, BUSY], rows[row, WAIT] = PV, 0
        last = max(begin + lines - 1, chosen + (values - 1) // machine[SOFTMAX_LANES])
        if begin < jobs[job, ARRIVAL]:
            fetched = jobs[job, ARRIVAL] + lines - 1
            if jobs[job, IN_ORDER]:
                fetched = begin - 1
                for line in range(lines):
                    fetched = max(fetched + 1, arrivals[jobs[job, LINES] + line])
            if fetched > last:
                wait_for(row, V_READ, fetched - last, rows)
                last = fetched
        state[PV_FREE] = last + 1
        release(job, last + 1, jobs)
        done = last + 1 + PV_LATENCY
        account(row, done - state[DONE], rows, stack)
        state[DONE] = done
        write_row(row, len(rows), done, machine, writes, state)
        state[FINISHED] += 1


@inlined_kernel
def account(row, cycles, rows, stack):
    """Attribute the cycles between two rows' ends: the pipeline's latency, what the row waited for, what was busy."""
    if row == 0:
        latency = min(cycles, QK_LATENCY + SUM_LATENCY + PROBABILITY_LATENCY + PV_LATENCY)
        stack[PIPELINE] += latency
        cycles -= latency
    waited = min(cycles, rows[row, WAIT])
    stack[rows[row, WAITED_FOR]] += waited
    stack[rows[row, BUSY]] += cycles - waited


@inlined_kernel
def write_row(row, rows, done, machine, writes, state):
    """Queue the bursts that a row's output completes."""
    whole = machine[BURST_BYTES]
    before = row * machine[OUTPUT_BYTES] // whole
    after = (row + 1) * machine[OUTPUT_BYTES] // whole
    if row + 1 == rows:
        after = ceil_div((row + 1) * machine[OUTPUT_BYTES], whole)
    if after > before:
        at = state[WRITE_ASKED]
        writes[at, WRITE_READY], writes[at, WRITE_BURST], writes[at, WRITE_COUNT] = done, before, after - before
        state[WRITE_ASKED] += 1


@inlined_kernel
def late_values_known(job, machine, jobs):
    """Return when the top-k engine has put out the indices of the item that a job goes on with."""
    item = jobs[job, POSITION] // jobs[job, BURSTS]
    return jobs[job, READY] + ((item + 1) * jobs[job, TOKENS_EACH] - 1) // machine[SOFTMAX_LANES]


@inlined_kernel
def stream_ready(stream, start, groups, machine, rows, jobs, low_queue, writes, state):
    """Return when a stream has something to request."""
    if stream == QUERY:
        return query_ready(start, machine, rows, state)
    if stream == LOW_BITS:
        return jobs[low_queue[state[LOW_BEGUN]], READY] if state[LOW_BEGUN] < state[LOW_ASKED] else NEVER
    if stream == KEY:
        return ring_job_ready(KEY_RING, 0, groups, machine, jobs, state)
    if stream == VALUE:
        ready = ring_job_ready(VALUE_RING, groups, groups, machine, jobs, state)
        if machine[LATE_VALUES] and ready != NEVER:
            return max(ready, late_values_known(groups + state[VALUE_RING + NEXT_JOB], machine, jobs))
        return ready
    return writes[state[WRITE_BEGUN], WRITE_READY] if state[WRITE_BEGUN] < state[WRITE_ASKED] else NEVER


@inlined_kernel
def next_stream(start, groups, machine, rows, jobs, low_queue, writes, ready, state):
    """Return the stream that requests next, and when: queries, low bits, keys and values in turn, writes."""
    when = np.int64(NEVER)
    for stream in range(STREAMS):
        ready[stream] = stream_ready(stream, start, groups, machine, rows, jobs, low_queue, writes, state)
        when = min(when, ready[stream])
    if when == NEVER:
        return STREAMS, when
    when = max(when, state[FETCHER_FREE], state[BUSIEST] - machine[FETCH_QUEUE] * machine[BURST_CYCLES])
    if ready[VALUE] <= when and state[TURN] == VALUE and ready[QUERY] > when and ready[LOW_BITS] > when:
        return VALUE, when
    stream = 0
    while ready[stream] > when:
        stream += 1
    return stream, when


@inlined_kernel
def request(stream, t, groups, machine, jobs, tokens, arrivals, blocks, low_queue, writes, free, state):
    """Let a stream request a lane group."""
    if stream == QUERY:
        block, lanes = state[QUERY_BLOCK], machine[FETCH_LANES]
        whole = ceil_div(state[ROWS] * machine[QUERY_BYTES], machine[BURST_BYTES])
        there = issue_run(t, block * lanes, min(lanes, whole - block * lanes), machine, free, state)
        blocks[block] = max(there, blocks[block - 1]) if block > 0 else there
        state[QUERY_BLOCK] += 1
    elif stream == LOW_BITS:
        job = low_queue[state[LOW_BEGUN]]
        issue(t, job, False, machine, jobs, tokens, arrivals, free, state)
        if issued(jobs, job):
            state[LOW_BEGUN] += 1
    elif stream == KEY:
        ring_issue(t, KEY_RING, 0, False, machine, jobs, tokens, arrivals, free, state)
        state[TURN] = VALUE
    elif stream == VALUE:
        ring_issue(t, VALUE_RING, groups, machine[LATE_VALUES] > 0, machine, jobs, tokens, arrivals, free, state)
        state[TURN] = KEY
    else:
        write = writes[state[WRITE_BEGUN]]
        done = issue_run(t, write[WRITE_BURST], write[WRITE_COUNT], machine, free, state) - machine[LATENCY]
        state[WRITTEN] = max(state[WRITTEN], done)
        state[WRITE_BEGUN] += 1
    state[FETCHER_FREE] = t + 1


@lean_kernel
def run_layer(
    start, groups, machine, rows, jobs, tokens, arrivals, blocks, waiting, low_queue, writes, ready, free, stack, state
):
    """Run a layer; return when its last output is in memory, -1 if the machine came to a stop.

    Contract
    --------
    start : int                            when the layer may begin: the one before has ended
    groups : int                           of heads that share bursts
    machine : int64[MACHINE]
    rows : int64[rows, ROW_COLUMNS]        GROUP..SELECT_CYCLES given, LAST = NEVER, other columns scratch
    jobs : int64[jobs, JOB_COLUMNS]        keys and values of every group, then low bits; TOKENS..READY given, RELEASE =
                                           NEVER, other columns 0
    tokens : int64[...]                    what jobs fetch, TOKENS and COUNT say where
    arrivals : int64[lines]                0; LINES says where a job's are
    blocks, waiting, low_queue, writes, ready    scratch: int64[lane groups of queries], [rows], [jobs], [rows, 3], [5]
    free : int64[channels]                 when a channel is free; kept from layer to layer
    stack : int64[CAUSES]                  added to
    state : int64[STATE_SIZE]              0
    """
    for element in (FETCHER_FREE, BUSIEST, QK_FREE, SUM_FREE, DIVIDE_FREE, TOPK_FREE, PV_FREE, DONE, WRITTEN):
        state[element] = start
    state[SUM_END] = state[SUM_END_BEFORE] = state[REPLAYED] = start - 1
    for channel in range(len(free)):
        state[BUSIEST] = max(state[BUSIEST], free[channel])
    state[ROWS], state[TURN] = len(rows), KEY
    while True:
        forward_rows(groups, machine, rows, jobs, state)
        finish_rows(groups, machine, rows, jobs, arrivals, writes, stack, state)
        stream, when = next_stream(start, groups, machine, rows, jobs, low_queue, writes, ready, state)
        new, cause_new = new_row_start(machine, rows, jobs, arrivals, waiting, blocks, state)
        again, cause_again = second_row_start(machine, rows, jobs, arrivals, waiting, state)
        second = again <= new
        begin = min(new, again)
        row = state[NEXT_ROW]
        if begin != NEVER:
            row = waiting[state[WAITING]] if second else row
            job = rows[row, LOW_JOB] if second else rows[row, GROUP]
            if not lines_issued(jobs, job, ceil_div(rows[row, KEYS], machine[LINE_KEYS]), machine):
                # It begins now, but when it ends is not known yet.
                begin = np.int64(NEVER)
        if begin == NEVER and when == NEVER:
            break
        if when < begin:
            request(stream, when, groups, machine, jobs, tokens, arrivals, blocks, low_queue, writes, free, state)
            continue
        state[WAITING if second else NEXT_ROW] += 1
        cause = cause_again if second else cause_new
        compute_row(row, begin, cause, job, second, machine, rows, jobs, arrivals, waiting, low_queue, state)
    if state[FINISHED] < len(rows):
        return -1
    end = max(state[DONE], state[WRITTEN])
    stack[OUTPUT_WRITE] += end - state[DONE]
    return end
