"""Workers that are processes: one that hangs, eats memory or dies costs the point it was evaluating, no other.

A worker is a fresh interpreter on the other end of a socket. It is stopped by being killed, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from searchers.evaluation.execution import SECTION, Execution
from searchers.evaluation.workers import Evaluator, Event, Job, Workers, reason_of, report_in_parts
from searchers.outcome import Outcome
from workloads.errors import SextantError

WATCH_S = 0.1  # how often memory is looked at
_MB = 10**6
_PR_SET_PDEATHSIG = 1
_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from searchers.evaluation.processes import serve; serve({descriptor}, {parent})"
)
ENDING_S = 5.0  # how long a process may take to be gone after it has closed its connection
READY, OVER = "ready", "over"


class _Process:
    """One worker and what is known of it."""

    def __init__(self, evaluator: bytes, memory_limit_mb: float | None) -> None:
        ours, theirs = socket.socketpair()
        command = _START.format(path=sys.path, descriptor=theirs.fileno(), parent=os.getpid())
        self.process = subprocess.Popen(
            [sys.executable, "-c", command],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # control and C at a terminal reaches the parent alone
        )
        theirs.close()
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.ready, self.broken = False, ""
        self.heard = self.began = time.monotonic()
        self.points = 0
        self.send(evaluator)
        self.send(pickle.dumps(memory_limit_mb))

    def send(self, data: bytes) -> None:
        """Send bytes; whether the worker is still there is found out when it is listened to."""
        with suppress(OSError):
            self.connection.send_bytes(data)

    @property
    def resident_mb(self) -> float:
        """Memory the process holds; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return 0.0
        return pages * resource.getpagesize() / _MB

    def ended(self) -> str:
        """Return how a process ended that has closed its end of the connection."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_S)  # it is on its way out, and is to say how
        self.end()
        code = self.process.returncode
        if code >= 0:
            return f"its worker ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"its worker was killed by {name}" + (", as when memory runs out" if -code == signal.SIGKILL else "")

    def end(self) -> None:
        """Kill the process, if it is still there."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


class ProcessWorkers(Workers):
    """Processes of this machine, kept alive from batch to batch and replaced when they die.

    Parameters
    ----------
    evaluator : Evaluator
    execution : Execution
    """

    def __init__(self, evaluator: Evaluator, execution: Execution) -> None:
        super().__init__(execution.count, execution.retries)
        self._execution = execution
        self._evaluator = pickle.dumps(evaluator, protocol=5)
        self._processes: dict[int, _Process] = {}
        self._one_was_ready = False

    def _start(self, slot: int, job: Job) -> None:
        if slot not in self._processes:
            self._processes[slot] = _Process(self._evaluator, self._execution.memory_limit_mb)
        process = self._processes[slot]
        process.heard = process.began = time.monotonic()
        process.points = len(job.payloads)
        process.send(pickle.dumps(job.payloads, protocol=5))

    def _wait(self, out: dict[int, Job]) -> list[Event]:
        slots = {self._processes[slot].connection: slot for slot in out}
        while True:
            events = []
            for connection in wait(list(slots), self._patience(out)):
                events += self._listen(slots[connection])  # type: ignore[index]
            for slot in out.keys() - {event.slot for event in events if event.over}:
                exceeded = self._exceeded(self._processes[slot])
                if exceeded:
                    self._processes.pop(slot).end()
                    events.append(Event(slot, [], over=True, lost=exceeded))
            if events:
                return events

    def _patience(self, out: dict[int, Job]) -> float | None:
        """Return how long nothing need be looked at."""
        waits = [WATCH_S] if self._execution.memory_limit_mb is not None else []
        if self._execution.time_limit_s is not None:
            now = time.monotonic()
            waits += [
                max(0.0, self._processes[slot].heard + self._execution.time_limit_s - now)
                for slot in out
                if self._processes[slot].ready
            ]
        return min(waits, default=None)

    def _listen(self, slot: int) -> list[Event]:
        """Return what one worker has to say."""
        process = self._processes[slot]
        events = []
        try:
            while process.connection.poll():
                message: Any = pickle.loads(process.connection.recv_bytes())
                process.heard = time.monotonic()
                if message == READY:
                    process.ready = self._one_was_ready = True
                    process.began = process.heard
                elif message == OVER:
                    self._timed(process.heard - process.began, process.points)
                    events.append(Event(slot, [], over=True))
                elif isinstance(message, str):
                    process.broken = message
                else:
                    events.append(Event(slot, message))
        except (EOFError, OSError):
            how = self._processes.pop(slot).ended()
            if not self._one_was_ready:
                said = process.broken or how
                raise SextantError(f"no worker process can be started ({said}), need --executor threads") from None
            events.append(Event(slot, [], over=True, lost=how, again=True))
        return events

    def _exceeded(self, process: _Process) -> str:
        """Return which limit a worker has exceeded, if one."""
        seconds, megabytes = self._execution.time_limit_s, self._execution.memory_limit_mb
        if process.ready and seconds is not None and time.monotonic() - process.heard >= seconds:
            return f"took longer than {SECTION}.time_limit_s = {seconds:g}"
        if megabytes is not None and process.resident_mb > megabytes:
            return f"took more memory than {SECTION}.memory_limit_mb = {megabytes:g}"
        return ""

    def close(self) -> None:
        """Kill all workers."""
        for process in self._processes.values():
            process.process.kill()
        for process in self._processes.values():
            process.end()
        self._processes.clear()


def serve(descriptor: int, parent: int) -> None:
    """Be a worker: evaluate jobs that come through a socket until it is closed."""
    _die_with(parent)
    connection: Connection[Any, Any] = Connection(descriptor)

    def report(outcomes: list[Outcome]) -> None:
        if outcomes:
            connection.send_bytes(pickle.dumps(outcomes, protocol=5))

    try:
        received, memory_limit_mb = connection.recv_bytes(), pickle.loads(connection.recv_bytes())
        try:
            evaluator: Evaluator = pickle.loads(received)
        except Exception as error:  # e.g. what it names cannot be imported here
            connection.send_bytes(pickle.dumps(reason_of(error)))
            return
        _limit_memory(memory_limit_mb)
        connection.send_bytes(pickle.dumps(READY))
        while True:
            report_in_parts(evaluator, pickle.loads(connection.recv_bytes()), report)
            connection.send_bytes(pickle.dumps(OVER))
    except (EOFError, OSError):
        os._exit(0)  # nobody listens any more


def _die_with(parent: int) -> None:
    """Have the system kill this process when its parent dies (Linux; elsewhere the closed socket ends it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _limit_memory(megabytes: float | None) -> None:
    """Have one allocation that would exceed the limit fail at once; slow growth is seen by the parent."""
    if megabytes is None or sys.platform != "linux":
        return
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
    limit = held + int(megabytes * _MB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
