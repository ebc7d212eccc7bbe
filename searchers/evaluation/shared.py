"""One copy of a big workload for many processes: its arrays lie in memory that workers map instead of being sent.

The memory has no name and no file: it is gone with the last process that uses it, however that ends.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

ALIGNMENT = 64


class Shared:
    """An object that other processes of this machine can have without its arrays being copied.

    Pickling it sends its place in memory; unpickling maps it, so that what a worker writes stays with the worker.
    Where there is no such memory (it is Linux's) the object itself is sent.

    Parameters
    ----------
    value : object
        What can be pickled. Its contiguous arrays are shared.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self._memory: tuple[int, bytes, list[tuple[int, int]]] | None = None

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if sys.platform != "linux":
            return Shared, (self.value,)
        if self._memory is None:
            self._memory = _write(self.value)
        descriptor, body, places = self._memory
        return _attach, (f"/proc/{os.getpid()}/fd/{descriptor}", body, places)

    def close(self) -> None:
        """Give up this process's hold on the memory."""
        if self._memory is not None:
            os.close(self._memory[0])
            self._memory = None


def _write(value: Any) -> tuple[int, bytes, list[tuple[int, int]]]:
    """Write an object's arrays into memory without a name; return it, the rest of the object, and where each lies."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    descriptor = os.memfd_create("sextant workload")
    places = []
    end = 0
    for buffer in buffers:
        raw = buffer.raw()
        start = -(-end // ALIGNMENT) * ALIGNMENT
        places.append((start, raw.nbytes))
        end, written = start + raw.nbytes, 0
        while written < raw.nbytes:
            written += os.pwrite(descriptor, raw[written:], start + written)
    os.ftruncate(descriptor, max(1, end))
    return descriptor, body, places


def _attach(path: str, body: bytes, places: list[tuple[int, int]]) -> Shared:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        memory = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
    finally:
        os.close(descriptor)
    return Shared(pickle.loads(body, buffers=[memory[start : start + size] for start, size in places]))
