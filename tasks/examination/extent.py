"""How far a potential sees, what the size of a cell does, and what company in a batch does."""

import ctypes
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from ase import Atoms

from potentials import Evaluation, Potential
from tasks.examination.invariance import compare_evaluations
from tasks.examination.laws import Finding

_FAR = 10.0  # Å, the distance between images in a screening
_CHAIN = 36.0  # Å, long enough for the force constants beyond
_MOVE = 0.01  # Å
_SUPERCELL = (1, 2, 2)
_N_ATOMS = 64
_N_REPEATS = 3
_MOVED = 0.001  # Å
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


def measure_extent(
    potential: Potential, crystals: Mapping[str, Atoms], rattled: Mapping[str, Atoms]
) -> Iterator[Finding]:
    """Measure locality, extensivity and independence of the batch.

    Parameters
    ----------
    potential : Potential
        The potential.
    crystals, rattled : mapping of str to ase.Atoms
        Crystals, and crystals without any symmetry, by name.

    Yields
    ------
    Finding
        The largest of each.
    """
    value, name = max((measure_reach(potential, atoms), name) for name, atoms in crystals.items())
    yield Finding("locality", name, value)
    alone = [potential.evaluate([atoms]) for atoms in rattled.values()]
    company = potential.evaluate([*rattled.values(), *crystals.values()]).split()
    others = {
        "extensivity": [_evaluate_copies(potential, atoms) for atoms in rattled.values()],
        "batch": [[found] for found in company[: len(alone)]],
    }
    for kind, found in others.items():
        errors = [compare_evaluations(*pair) for pair in zip(alone, found, strict=True)]
        for quantity in ("energy", "forces"):
            values = (getattr(error, quantity) for error in errors)
            value, name = max(zip(values, rattled, strict=True))
            yield Finding(f"{kind}_{quantity}", name, value)


def measure_reach(potential: Potential, atoms: Atoms) -> float:
    """Measure the largest force constant beyond 10 Å.

    Parameters
    ----------
    potential : Potential
        The potential.
    atoms : ase.Atoms
        A crystal; it is repeated twice along its first vectors and to 36 Å along the last.

    Returns
    -------
    float
        In % of the force constant of the displaced atom itself.
    """
    chain = atoms * (2, 2, int(np.ceil(_CHAIN / atoms.cell.lengths()[2])))
    direction = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    copies = [chain.copy(), chain.copy()]
    for sign, copy in zip((1, -1), copies, strict=True):
        copy.positions[0] += sign * _MOVE * direction
    ahead, behind = potential.evaluate(copies).forces
    sizes = np.linalg.norm(ahead - behind, axis=1)
    far = chain.get_distances(0, range(len(chain)), mic=True) > _FAR
    return 100 * float(sizes[far].max() / sizes[0])


def _evaluate_copies(potential: Potential, atoms: Atoms) -> list[Evaluation]:
    """Evaluate a supercell, and return each copy of the crystal in it."""
    found = potential.evaluate([atoms * _SUPERCELL])
    n_copies = int(np.prod(_SUPERCELL))
    return [
        Evaluation(found.energies / n_copies, (forces,), found.stresses, found.wall_time)
        for forces in np.split(found.forces[0], n_copies)
    ]


def measure_precision(
    potential: Potential, rounded: Potential, rattled: Mapping[str, Atoms]
) -> Finding:
    """Compare a potential in double precision with itself in single precision."""
    structures = list(rattled.values())
    pairs = zip(
        potential.evaluate(structures).split(), rounded.evaluate(structures).split(), strict=True
    )
    errors = [compare_evaluations(one, [other]).forces for one, other in pairs]
    value, name = max(zip(errors, rattled, strict=True))
    return Finding("precision_forces", name, value)


def measure_cost(potential: Potential, crystals: Mapping[str, Atoms]) -> Iterator[Finding]:
    """Measure processor time and, on Linux, memory of an evaluation of some 64 atoms."""
    name, atoms = next(iter(crystals.items()))
    supercell = atoms * (2, 2, max(1, round(_N_ATOMS / 4 / len(atoms))))
    potential.evaluate([atoms])
    seconds, memory = _measure_evaluation(potential, supercell)
    yield Finding("time", name, 1000 * seconds / len(supercell), f"{len(supercell)} atoms")
    if memory is not None:
        yield Finding("memory", name, memory / len(supercell), f"{len(supercell)} atoms")


def _measure_evaluation(potential: Potential, atoms: Atoms) -> tuple[float, float | None]:
    """Least processor time (s) of several evaluations, and the growth of memory (MiB)."""
    before = _begin_with_memory()
    times = []
    for seed in range(_N_REPEATS):
        moved = atoms.copy()
        moved.rattle(_MOVED, seed=seed)  # calculators remember the structure they had last
        start = time.process_time()
        potential.evaluate([moved])
        times.append(time.process_time() - start)
    return min(times), None if before is None else read_memory("VmHWM") - before


def _begin_with_memory() -> float | None:
    """Give back free memory, forget the peak, tell what is in use; None where it is not Linux."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR.write_text(_FORGET_PEAK, encoding="ascii")
        return read_memory("VmRSS")
    except (OSError, AttributeError):
        return None


def read_memory(field: str) -> float:
    """Memory of this process in MiB, as Linux tells it under a name."""
    lines = _STATUS.read_text("utf-8").splitlines()
    [line] = [line for line in lines if line.startswith(f"{field}:")]
    return float(line.split()[1]) / 1024
