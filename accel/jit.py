"""The one way a kernel is compiled, and where its machine code is kept.

numba notices neither an edit in another file nor a damaged cache file. So the cache folder is named after a
hash of every source file a kernel can depend on and of the versions involved, each file carries a checksum,
and what cannot be loaded is thrown away and compiled again.

Switches (environment): ``SEXTANT_JIT=0`` runs kernels as plain Python; ``SEXTANT_CACHE_DIR`` moves the cache.
"""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import caching

from workloads.errors import ConfigError

Function = Callable[..., Any]

KEPT_BUILDS = 4  # whose machine code is kept, whenever it was used
UNUSED_S = 7 * 86400.0  # after so long, that of others is removed


def kernel(function: Function) -> Function:
    """Compile a module-level function: machine code on disk, GIL released, IEEE arithmetic as written.

    Raises
    ------
    ConfigError
        If ``SEXTANT_JIT`` is neither 0 nor 1.
    """
    return _compile(function)


def inlined_kernel(function: Function) -> Function:
    """Compile like ``kernel``, and put the function's body wherever a kernel calls it.

    For small parts of a hot loop: a call passes seven words for every array.
    """
    return _compile(function, forceinline=True, _nrt=False)


def lean_kernel(function: Function) -> Function:
    """Compile like ``kernel``, without counting references to arrays: for code that is called often and makes none.

    Counting is atomic and happens for every array argument of every call.
    """
    return _compile(function, _nrt=False)


def _compile(function: Function, **options: bool) -> Function:
    if not _jit_enabled():
        return function
    # Nobody calls a kernel through a pointer from C: its wrapper for that would be compiled all the same.
    options = {"nogil": True, "fastmath": False, "no_cfunc_wrapper": True, **options}
    dispatcher: Any = numba.njit(function, error_model="numpy", **options)
    dispatcher._cache = _HealingCache(function)
    dispatcher.compile = _without_collection(dispatcher.compile)
    compiled: Function = dispatcher
    return compiled


def _without_collection(compile_: Function) -> Function:
    """Keep the garbage collector off while a kernel is compiled or loaded, which makes much and drops little."""

    @wraps(compile_)
    def compile_without(*arguments: Any, **options: Any) -> Any:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return compile_(*arguments, **options)
        finally:
            if collecting:
                gc.enable()

    return compile_without


def kernel_on_distinct_arrays(function: Function) -> Function:
    """Compile like ``lean_kernel`` and promise that no two array arguments overlap.

    Without the promise the compiler has to check, at run time and for every pair, whether a store could change
    what a later load reads, and gives up vectorising a loop over many arrays.
    """
    compiled: Any = lean_kernel(function)
    if compiled is not function:
        compiler = compiled._compiler
        customize = compiler._customize_flags

        def without_aliases(flags: Any) -> Any:
            flags = customize(flags)
            flags.noalias = True
            return flags

        compiler._customize_flags = without_aliases
    result: Function = compiled
    return result


def _jit_enabled() -> bool:
    switch = os.environ.get("SEXTANT_JIT", "1")
    if switch not in ("0", "1"):
        raise ConfigError("environment", "SEXTANT_JIT", switch, "0 or 1")
    return switch == "1"


@cache
def cache_folder() -> Path:
    """Return the folder of this build's machine code; it is made on the first write."""
    chosen = os.environ.get("SEXTANT_CACHE_DIR")
    if chosen:
        root = Path(chosen)
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sextant"
        if not _writable(root):
            root = Path(tempfile.mkdtemp(prefix="sextant-"))  # for this process: others could write a shared one
    return root / f"kernels-{_build_hash()}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def versions() -> dict[str, str]:
    """Return what a result depends on beside its input: a hash of the models' sources, and who runs them."""
    return {
        "models": _build_hash(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


@cache
def _build_hash() -> str:
    """Hash what machine code depends on; numba itself tells processors apart."""
    digest = hashlib.sha256()
    for part in (numba.__version__, np.__version__, sys.version, platform.machine()):
        digest.update(part.encode())
    house = Path(__file__).parent.parent
    for room in ("accel", "mappers", "workloads"):
        for source in sorted((house / room).rglob("*.py")):
            digest.update(source.relative_to(house).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


class _BuildFolder(caching._CacheLocator):  # type: ignore[misc]
    """Where a function's machine code lies: in this build's folder, never anywhere else."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        self._line = function.__code__.co_firstlineno
        self._folder = cache_folder() / self.get_suitable_cache_subpath(source)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _BuildFolder:
        return cls(py_func, py_file)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return "named by the folder"

    def get_disambiguator(self) -> str:
        return str(self._line)


class _BuildFiles(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_BuildFolder,)


class _ChecksummedFile(caching.IndexDataCacheFile):  # type: ignore[misc]
    """A file for every signature, named after it, with a checksum of both in front of the machine code.

    numba's own index of files is not used: two processes that write it at once can make it name the other's file, and
    a flipped bit in it can name another signature's.
    """

    def load(self, key: Any) -> Any:
        """Return what was kept under a key; None if nothing was, or if it is damaged, which removes it."""
        path = self._path_of(key)
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        digest, data = stored[:32], stored[32:]
        try:
            if _digest(key, data) != digest:
                raise ValueError(f"{path}: checksum differs")
            return caching.pickle.loads(data)
        except Exception:  # whatever a damaged file raises: unpickling can raise anything
            path.unlink(missing_ok=True)
            return None

    def save(self, key: Any, data: Any) -> None:
        """Keep machine code under a key, whole or not at all."""
        dumped = self._dump(data)
        with self._open_for_write(str(self._path_of(key))) as file:
            file.write(_digest(key, dumped) + dumped)

    def _path_of(self, key: Any) -> Path:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
        return Path(self._data_path(f"{self._index_name.removesuffix('.nbi')}.{name}.nbc"))


def _digest(key: Any, data: bytes) -> bytes:
    return hashlib.sha256(repr(key).encode() + b"\0" + data).digest()


class _HealingCache(caching.FunctionCache):  # type: ignore[misc]
    """numba's cache, except that damage and full disks cost a compilation instead of a traceback."""

    _impl_class = _BuildFiles

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _ChecksummedFile(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # code that is whole and cannot be used all the same: compile it again
            found = None
        if found is not None:
            _note_use()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # a full or read-only disk: the code is compiled and runs, it is only not kept
            super().save_overload(sig, data)
            _note_use()


@cache
def _note_use() -> None:
    """Mark this build's folder as used now, and remove those of builds that nobody has used for long.

    The newest are kept, and all that were used within the last days. A process whose folder is removed all the same
    has its machine code in memory, and compiles what it still needs.
    """
    folder = cache_folder()
    with suppress(OSError):
        os.utime(folder)
        used = {other: other.stat().st_mtime for other in folder.parent.glob("kernels-*") if other != folder}
        newest = sorted(used, key=lambda other: used[other], reverse=True)
        for other in newest[KEPT_BUILDS - 1 :]:
            if time.time() - used[other] > UNUSED_S:
                shutil.rmtree(other, ignore_errors=True)
