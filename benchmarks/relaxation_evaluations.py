"""Evaluations of the potential that relaxations take, against the optimisers of ASE.

    python benchmarks/relaxation_evaluations.py
    python benchmarks/relaxation_evaluations.py --dtype float64 --only quartz-154
    python benchmarks/relaxation_evaluations.py --optimizers BFGS LBFGS FIRE --only zno quartz-154

Every optimiser starts from the same idealised primitive cell of each demo crystal that is screened
and drives the same potential, behind a counter: one evaluation is one call for energy, forces and
stress, with the average over the inversion where the crystal needs it. ASE's optimisers run with
FrechetCellFilter and FixSymmetry. All stop at the same point: largest force and largest stress
component, both symmetry-allowed, below the limits of the settings. ``energy`` is the difference in
energy per atom to ours; beyond 1e-5 eV the two ended in different minima. ``space group`` is that
of the start, and that of our end where the two differ at the same tolerance.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms, optimize
from ase.calculators.calculator import Calculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter

from flows.console import locate_source
from potentials import Evaluation, Potential, PotentialCard, load_potential, remove_average
from tasks.crystals import Material
from tasks.relaxation import RelaxationSettings, relax
from tasks.sources.materials import read_materials
from tasks.symmetry import analyze_symmetry, find_dataset
from tasks.symmetry.site_permutations import find_space_group

SYMPREC = 0.01
SAME_MINIMUM = 1e-5  # eV per atom
MOST_EVALUATIONS = 400


@dataclass
class Counted:
    """A potential that counts the structures it evaluates."""

    potential: Potential
    count: int = 0

    @property
    def card(self) -> PotentialCard:
        """Card of the potential."""
        return self.potential.card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate and count."""
        self.count += len(structures)
        return self.potential.evaluate(structures)


class PotentialCalculator(Calculator):  # type: ignore[misc]
    """One of our potentials as a calculator of ASE, which demands a subclass."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = (),
    ) -> None:
        """Evaluate once for all properties."""
        super().calculate(atoms, properties, system_changes)
        found = self.potential.evaluate([self.atoms])
        stress = found.stresses[0].flat[[0, 4, 8, 5, 2, 1]]
        self.results = {
            "energy": float(found.energies[0]),
            "forces": found.forces[0],
            "stress": stress,
        }


@dataclass(frozen=True)
class Run:
    """End of one relaxation: evaluations, eV per atom, space group, and whether it converged."""

    evaluations: int
    energy: float
    space_group: int
    converged: bool


@dataclass(frozen=True)
class Comparison:
    """Relaxations of one crystal, ours and those of ASE by optimiser."""

    name: str
    space_group: int
    ours: Run
    others: Mapping[str, Run] = field(default_factory=dict)


def screened_crystals(only: Sequence[str]) -> Iterator[Material]:
    """Demo crystals that symmetry does not exclude."""
    for material in read_materials(locate_source(Path("demo")), SYMPREC):
        assert isinstance(material, Material)
        chosen = not only or material.material_id in only
        if chosen and analyze_symmetry(material.atoms, SYMPREC).chirality_class != "I":
            yield material


def relaxed_by_us(atoms: Atoms, potential: Potential, settings: RelaxationSettings) -> Run:
    """Relax with this package."""
    counted = Counted(potential)
    [found] = relax([atoms], counted, settings)
    return Run(counted.count, found.energy, number_of(found.atoms), found.converged)


def relaxed_by_ase(
    atoms: Atoms, potential: Potential, settings: RelaxationSettings, optimizer: str
) -> Run:
    """Relax with an optimiser of ASE until the limits of the settings are met."""
    counted, moving = Counted(potential), atoms.copy()
    moving.calc = PotentialCalculator(counted)
    moving.set_constraint(FixSymmetry(moving, symprec=SYMPREC))
    driver = getattr(optimize, optimizer)(FrechetCellFilter(moving), logfile=None)
    # The optimiser's own limit joins forces and stress in one number: it is never met.
    for _ in driver.irun(fmax=0.0, steps=MOST_EVALUATIONS):
        if converged := within_limits(moving, settings):
            break
    energy = moving.get_potential_energy() / len(moving)
    return Run(counted.count, energy, number_of(moving), converged)


def number_of(atoms: Atoms) -> int:
    """Number of the space group."""
    return int(find_dataset(atoms, SYMPREC).number)


def within_limits(atoms: Atoms, settings: RelaxationSettings) -> bool:
    """Whether forces and stress, as the constraint leaves them, are below their limits."""
    largest_force = np.linalg.norm(atoms.get_forces(), axis=1).max()
    largest_stress = np.abs(atoms.get_stress()).max()
    return bool(largest_force <= settings.max_force and largest_stress <= settings.max_stress)


def compare(material: Material, potential: Potential, optimizers: Sequence[str]) -> Comparison:
    """Relax one crystal with everything that was asked for."""
    atoms, settings = material.atoms, RelaxationSettings()
    # What our relaxation does by itself, a calculator must be told.
    alike = remove_average(potential) if find_space_group(atoms).has_improper else potential
    return Comparison(
        material.material_id,
        number_of(atoms),
        relaxed_by_us(atoms, alike, settings),
        {name: relaxed_by_ase(atoms, alike, settings, name) for name in optimizers},
    )


def row_of(found: Comparison) -> str:
    """One line of the table."""
    groups = dict.fromkeys([found.space_group, found.ours.space_group])
    cells = [found.name, " → ".join(map(str, groups)), _evaluations(found.ours)]
    for run in found.others.values():
        ratio = found.ours.evaluations / run.evaluations
        cells += [_evaluations(run), f"{ratio:.2f}", f"{run.energy - found.ours.energy:+.1e}"]
    return _line(cells)


def _evaluations(run: Run) -> str:
    return f"{run.evaluations}{'' if run.converged else ' (not converged)'}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def summary_of(comparisons: Sequence[Comparison], optimizer: str) -> str:
    """Totals against one optimiser, and where the two ended apart."""
    pairs = {found.name: (found.ours, found.others[optimizer]) for found in comparisons}
    ours, theirs = (sum(runs[i].evaluations for runs in pairs.values()) for i in range(2))
    ratios = {name: mine.evaluations / run.evaluations for name, (mine, run) in pairs.items()}
    differing = {
        "more evaluations": [name for name, ratio in ratios.items() if ratio > 1],
        "other minimum": [
            name
            for name, (mine, run) in pairs.items()
            if abs(run.energy - mine.energy) > SAME_MINIMUM
        ],
        "other space group": [
            name for name, (mine, run) in pairs.items() if run.space_group != mine.space_group
        ],
    }
    told = "; ".join(f"{what}: {', '.join(names) or 'none'}" for what, names in differing.items())
    median = statistics.median(ratios.values())
    totals = f"{optimizer}: {ours} against {theirs} evaluations, ratio {ours / theirs:.3f}"
    return f"{totals}, median of the crystals' ratios {median:.3f}; {told}"


def main() -> int:
    """Measure and print; 1 where one of our relaxations did not converge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="names of demo crystals")
    parser.add_argument("--optimizers", nargs="*", default=["BFGS"], help="optimisers of ASE")
    parser.add_argument("--potential", default="7net-0", help="as load_potential takes it")
    parser.add_argument("--dtype", default="float32", help="float32 or float64")
    arguments = parser.parse_args()
    potential = load_potential(arguments.potential, dtype=arguments.dtype)
    header = ["crystal", "space group", "ours"]
    for name in arguments.optimizers:
        header += [f"ASE {name}", "ratio", "energy (eV per atom)"]
    print(_line(header), _line(["---"] * len(header)), sep="\n")
    comparisons = []
    for material in screened_crystals(arguments.only):
        comparisons.append(compare(material, potential, arguments.optimizers))
        print(row_of(comparisons[-1]), flush=True)
    total = sum(found.ours.evaluations for found in comparisons)
    print(f"\n{len(comparisons)} crystals, {arguments.potential} in {arguments.dtype}: {total}")
    for name in arguments.optimizers:
        print(summary_of(comparisons, name))
    return int(not all(found.ours.converged for found in comparisons))


if __name__ == "__main__":
    sys.exit(main())
