"""A pair potential whose evaluations of some elements go wrong as asked."""

import errno
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import all_changes
from ase.calculators.lj import LennardJones

SIGMA = 2.1
# Its neighbours sit at the minimum of the potential.
LATTICE_CONSTANT = 2 ** (1 / 6) * SIGMA * 4 / 3**0.5

SETTINGS = """
potential: {name: "ase:tests.flows.faulty:Faulty", dtype: float64, options: {OPTIONS}}
phonons: {min_supercell_length: 4.0, max_atoms: 40, max_enlargements: 0}
chirality: {mesh_spacing: 0.1, path_spacing: 0.2}
"""


class Faulty(LennardJones):
    """Lennard-Jones potential of nearest neighbours, with faults.

    Parameters
    ----------
    faults : str
        Such as ``In:kill,Cd:hang``: what happens to structures with the element.
    marks : str
        Folder of files that tell what happened.
    """

    def __init__(self, faults: str = "", marks: str = "") -> None:
        super().__init__(sigma=SIGMA, epsilon=0.5, rc=3.0)
        self.faults = dict(fault.split(":") for fault in faults.split(",") if fault)
        self.marks = Path(marks)

    def calculate(
        self, atoms: Atoms | None = None, properties=None, system_changes=all_changes
    ) -> None:
        for element, fault in self.faults.items():
            if atoms is not None and element in atoms.symbols:
                getattr(self, fault)()
        super().calculate(atoms, properties or ["energy"], system_changes)

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def kill_once(self) -> None:
        try:
            (self.marks / "killed").touch(exist_ok=False)
        except FileExistsError:
            return
        self.kill()

    def hang(self) -> None:
        time.sleep(3600)

    def wait(self) -> None:
        """Tell that a computation goes on, and wait until it may end."""
        (self.marks / "waiting").touch()
        while not (self.marks / "go").exists():
            time.sleep(0.1)

    def swell(self) -> None:
        """Ask for more and more memory, without writing to it."""
        taken = [bytearray(2**28) for _ in range(40)]
        raise AssertionError(f"{len(taken)} blocks were given, without a limit")

    def full(self) -> None:
        """Let the disk be full for this process, until somebody frees space."""

        def fsync(_: int) -> None:
            if not (self.marks / "space").exists():
                raise OSError(errno.ENOSPC, "no space left")

        os.fsync = fsync


def write_crystals(folder: Path, *formulas: str) -> None:
    """Write zinc-blende crystals, which the potential leaves as they are."""
    folder.mkdir(exist_ok=True)
    for formula in formulas:
        bulk(formula, "zincblende", LATTICE_CONSTANT).write(folder / f"{formula}.vasp")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all it started; a worker asked to end waits for its runs."""
    if process.poll() is None:
        whole = psutil.Process(process.pid)
        for member in (*whole.children(recursive=True), whole):
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()
