"""Compiled code is made once, for this machine, and used only when its numbers are right."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from potentials import compiler, load_potential
from potentials.compiler import KernelUnavailableError
from potentials.kernels import library
from potentials.nequix import load_nequix
from tests.potentials.crystals import rattled

pytestmark = pytest.mark.slow

NAME = "nequix-mp-1-pft"
CHECKPOINT = Path("potentials/checkpoints") / f"{NAME}.nqx"
TELL = f"from potentials import load_potential; print(load_potential({NAME!r}).card.kernel)"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch) -> Path:
    """An own cache, in which nothing is compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler.build_library.cache_clear()
    library.load_library.cache_clear()
    yield tmp_path / "chiralscreen"
    compiler.build_library.cache_clear()
    library.load_library.cache_clear()


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    """A process that loads the default potential and prints which kernel it has."""
    return subprocess.Popen(
        [sys.executable, "-c", TELL],
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_processes_that_compile_at_once_leave_one_library(tmp_path):
    processes = [start({"XDG_CACHE_HOME": str(tmp_path)}) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [output for output, _ in outputs] == ["compiled\n"] * 2
    assert [path.suffix for path in (tmp_path / "chiralscreen").iterdir()] == [".so"]


def test_a_machine_without_a_compiler_computes_with_torch_and_says_so(tmp_path):
    output, errors = start({"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}).communicate()
    assert output == "torch\n"
    told = [line for line in errors.splitlines() if "slower" in line]
    assert len(told) == 1
    assert "no C++ compiler is found; install g++ or clang++" in told[0]


def test_a_compiler_that_is_not_there_is_named(monkeypatch, empty_cache):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(KernelUnavailableError, match="CXX names 'no-such-compiler'"):
        compiler.build_library("float64")


def test_a_compiler_that_fails_is_told_and_leaves_nothing(monkeypatch, empty_cache, tmp_path):
    broken = tmp_path / "broken.cpp"
    broken.write_text("#error no good\n")
    monkeypatch.setattr(compiler, "SOURCE", broken)
    with pytest.raises(KernelUnavailableError, match="fails"):
        compiler.build_library("float64")
    assert list(empty_cache.iterdir()) == []


def test_a_kernel_with_wrong_numbers_is_not_used(monkeypatch, empty_cache, tmp_path, caplog):
    wrong = tmp_path / "wrong.cpp"
    right = compiler.SOURCE.read_text("utf-8")
    changed = right.replace("kRoot3 * x, kRoot3 * y", "kRoot3 * y, kRoot3 * x")
    assert changed != right
    wrong.write_text(changed, "utf-8")
    monkeypatch.setattr(compiler, "SOURCE", wrong)
    potential = load_nequix(CHECKPOINT, "cpu", "float64")
    assert potential.card.kernel == "torch"
    assert "other numbers than torch" in caplog.text


def test_a_folder_that_cannot_be_written_is_no_obstacle(monkeypatch, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("no folder")
    output, _ = start({"XDG_CACHE_HOME": str(occupied)}).communicate(timeout=300)
    assert output == "compiled\n"


X86 = platform.machine() in {"x86_64", "AMD64"}


@pytest.mark.skipif(not X86, reason="instruction sets of x86-64")
@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_narrower_vectors_give_the_same_numbers(monkeypatch, empty_cache, level, dtype):
    crystal = rattled(bulk("ZnS", "zincblende", a=5.4))
    expected = load_potential(NAME).evaluate([crystal]).forces[0]
    monkeypatch.setattr(compiler, "_MACHINE_FLAGS", ((f"-march={level}",),))
    library.load_library.cache_clear()
    potential = load_nequix(CHECKPOINT, "cpu", dtype)
    assert potential.card.kernel == "compiled"
    difference = np.abs(potential.evaluate([crystal]).forces[0] - expected).max()
    assert difference < {"float32": 1e-5, "float64": 1e-8}[dtype]
