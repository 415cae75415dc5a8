"""The compiled code: built once for this machine, kept in the user's cache.

The name of a library in the cache is a digest of the source, the flags, the compiler and the CPU,
so that a home folder shared by different machines, or a new compiler, never gives a wrong library.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent / "kernels" / "convolution.cpp"
_COMPILERS = ("g++", "c++", "clang++")
_FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC")
# The second is for compilers of ARM that know no -march=native, the last for all others.
_MACHINE_FLAGS = (("-march=native",), ("-mcpu=native",), ())
_REAL = {"float32": "float", "float64": "double"}
_SECONDS = 120


# How a potential computes, as its card tells it.
COMPILED, TORCH = "compiled", "torch"


class KernelUnavailableError(Exception):
    """The compiled code cannot be used here; the message says why and what to do."""


def predict_kernel(device: str) -> str:
    """Foretell how a potential with a compiled kernel will compute, without compiling it.

    Parameters
    ----------
    device : str
        As `load_potential` takes it; ``auto`` counts as a CPU.

    Returns
    -------
    str
        ``compiled`` on a CPU with a compiler, else ``torch``.
    """
    try:
        _find_compiler()
    except KernelUnavailableError:
        return TORCH
    return TORCH if device.startswith("cuda") else COMPILED


@cache
def build_library(dtype: str) -> Path:
    """Compile the kernel, or find it compiled.

    Processes that compile at the same time do so under names of their own; the last one wins, with
    the same code.

    Parameters
    ----------
    dtype : str
        ``float32`` or ``float64``.

    Returns
    -------
    pathlib.Path
        Shared library.

    Raises
    ------
    KernelUnavailableError
        When there is no compiler, or it fails.
    """
    compiler = _find_compiler()
    name = f"convolution-{dtype}-{_compute_digest(compiler, dtype)}.so"
    folder = find_cache_folder()
    library = folder / name
    if not library.is_file():
        descriptor, working = tempfile.mkstemp(suffix=".so", dir=folder)
        os.close(descriptor)
        try:
            _compile(compiler, dtype, Path(working))
            Path(working).replace(library)
        finally:
            Path(working).unlink(missing_ok=True)
    return library


def _find_compiler() -> str:
    """Path of a C++ compiler."""
    chosen = os.environ.get("CXX")
    for name in (chosen,) if chosen else _COMPILERS:
        if path := shutil.which(name):
            return path
    missing = f"CXX names {chosen!r}, which is not found" if chosen else "no C++ compiler is found"
    raise KernelUnavailableError(f"{missing}; install g++ or clang++")


def find_cache_folder() -> Path:
    """Folder of the user for compiled code; a new one for this process where none is writable."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "chiralscreen"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="chiralscreen-"))


def _compute_digest(compiler: str, dtype: str) -> str:
    """What decides how the library comes out."""
    parts = [SOURCE.read_text("utf-8"), dtype, repr((_FLAGS, _MACHINE_FLAGS))]
    parts += [_run([compiler, "--version"]), platform.machine(), _describe_cpu()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _describe_cpu() -> str:
    """Instruction sets of the CPU, or its name where the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")


def _compile(compiler: str, dtype: str, library: Path) -> None:
    """Compile for this CPU, with the first flags that the compiler takes."""
    complaints = ""
    for machine_flags in _MACHINE_FLAGS:
        command = [compiler, *_FLAGS, *machine_flags, f"-DREAL={_REAL[dtype]}"]
        try:
            _run([*command, str(SOURCE), "-o", str(library)])
        except KernelUnavailableError as error:
            complaints = str(error)
        else:
            return
    raise KernelUnavailableError(complaints)


def _run(command: Sequence[str]) -> str:
    """Output of a compiler."""
    try:
        done = subprocess.run(  # noqa: S603 - no word of the command comes from an input
            command, capture_output=True, text=True, check=True, timeout=_SECONDS
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise KernelUnavailableError(f"{command[0]} fails: {reason}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelUnavailableError(f"{command[0]} cannot be run: {error}") from error
    return done.stdout
