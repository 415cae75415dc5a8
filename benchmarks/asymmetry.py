"""How much asymmetry a potential may have before it invents chiral phonons.

    python -m benchmarks.asymmetry mirrors
    python -m benchmarks.asymmetry rotations
    python -m benchmarks.asymmetry frames

To a potential that is exactly invariant a term is added that breaks one law by a known amount. It
is smooth, local, the slope of an energy, and obeys all other laws.

- mirrors: E = s sum_ij w(r_ij) n_ij . (V_i x V_j), V_i = sum_k w(r_ik) r_ik, a coupling of
  distortions of the Dzyaloshinskii-Moriya kind. What it does to forces of rattled crystals (largest
  error in % of their root mean square), to force constants of achiral crystals before they are
  symmetrised (false splitting in THz, largest forbidden l), and to the two hands of chiral
  ones (difference of frequencies in THz), for several s; and where these lines cross the
  tolerances of a screening.
- rotations: E = s sum_ij w(r_ij) (n_ij . a)^k, a fixed axis a and k = 2, 4, 6. What averages over
  groups leave of the error of forces of a rattled crystal, turned any way or by the operations of
  the crystal at rest, and what they cost.
- frames: two principal moments of the neighbourhood of each site of the demo crystals, and what
  becomes of the principal axes when its atom moves by a thousandth of an Å.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from torch import Tensor

from flows.console import locate_source
from potentials import Equivariance, Evaluation, Potential, PotentialCard, load_potential
from potentials.averages import GROUPS, GroupAverage, IsometryGroup
from potentials.forces import differentiate
from potentials.graphs import GraphUnion, build_graphs, join_graphs
from tasks.crystals.structures import Material
from tasks.examination.crystals import choose, rattle, read_known_crystals
from tasks.examination.invariance import compare_images, compare_with, make_image
from tasks.examination.lattice_dynamics import (
    compute_raw_force_constants,
    measure_false_chirality,
    measure_hands,
)
from tasks.sources.materials import read_materials
from tasks.symmetry import find_crystal_symmetry, find_dataset
from tasks.tolerances import AS_GIVEN, DEGENERACY, NOISE

CUTOFF = 4.5  # Å
# Energies of pairs of a fixed strength, from the vectors of a graph to the energies of its atoms.
Term = Callable[[Tensor, GraphUnion], Tensor]
FloatArray = NDArray[np.float64]
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)  # eV/Å^2
STRENGTH = 0.1  # eV
CHIRAL, ACHIRAL = ("quartz-154", "te", "se"), ("nacl", "gaas", "zno", "si")
ORDERS = (2, 4, 6)
AXIS = (1.0, 2.0, 3.0)
MOVE = 1e-3  # Å


@dataclass(frozen=True)
class Perturbed:
    """A potential with a term added to its energy.

    Attributes
    ----------
    potential : Potential
        The potential.
    term : callable
        Gives the added energies of the atoms of one structure in eV.
    cutoff : float
        Of the pairs that the term is told of (Å).
    """

    potential: Potential
    term: Term
    cutoff: float = CUTOFF

    @property
    def card(self) -> PotentialCard:
        """Card of a potential of which nothing is known."""
        card = self.potential.card
        return replace(card, name=f"{card.name}, perturbed", equivariance=Equivariance.SO3)

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate the potential, and add the term."""
        found = self.potential.evaluate(structures)
        added = [self._evaluate_term(atoms) for atoms in structures]
        return Evaluation(
            found.energies + [energy for energy, _, _ in added],
            tuple(one + more for one, (_, more, _) in zip(found.forces, added, strict=True)),
            found.stresses + [stress for _, _, stress in added],
            found.wall_time,
        )

    def _evaluate_term(self, atoms: Atoms) -> tuple[float, FloatArray, FloatArray]:
        """Energy, forces and stress of the term in one structure."""
        union = join_graphs(build_graphs([atoms], self.cutoff))
        energies, forces, stresses = differentiate(
            lambda vectors: self.term(vectors, union), union, torch.device("cpu")
        )
        return float(energies.sum()), forces[union.places[0]], stresses[0]


def fade(distances: Tensor) -> Tensor:
    """Weights of pairs (n_edges, 1), smooth to the cutoff."""
    return (1 - (distances / CUTOFF) ** 2).clamp(min=0) ** 3


def sum_over_pairs(values: Tensor, union: GraphUnion) -> Tensor:
    """Sums (n_atoms, n) of values (n_edges, n) over the neighbours of each atom."""
    first = torch.from_numpy(union.pairs[0])
    return values.new_zeros(len(union.numbers), values.shape[1]).index_add_(0, first, values)


def break_mirrors(strength: float) -> Term:
    """Term that changes sign under mirrors; strength in eV/Å^2."""

    def term(vectors: Tensor, union: GraphUnion) -> Tensor:
        first, second = torch.from_numpy(union.pairs)
        distances = vectors.norm(dim=1, keepdim=True)
        distortions = sum_over_pairs(fade(distances) * vectors, union)
        crossed = torch.linalg.cross(distortions[first], distortions[second])
        twisted = (vectors * crossed).sum(dim=1, keepdim=True) / distances
        return strength * sum_over_pairs(fade(distances) * twisted, union)[:, 0]

    return term


def break_rotations(strength: float, order: int = 2) -> Term:
    """Term that depends on the direction of pairs in space; strength in eV."""
    axis = torch.tensor(AXIS, dtype=torch.float64) / np.linalg.norm(AXIS)

    def term(vectors: Tensor, union: GraphUnion) -> Tensor:
        distances = vectors.norm(dim=1, keepdim=True)
        along = (vectors / distances @ axis)[:, None] ** order
        return strength * sum_over_pairs(fade(distances) * along, union)[:, 0]

    return term


def survey_mirrors(exact: Potential) -> pd.DataFrame:
    """What terms that break mirrors do, by their strength."""
    known = read_known_crystals(exact)
    rows = []
    for strength in STRENGTHS:
        potential = Perturbed(exact, break_mirrors(strength))
        rows.append({"s (eV/Å^2)": strength, **measure_asymmetry(potential, known)})
        print(pd.DataFrame(rows[-1:]).to_markdown(index=False), flush=True)
    return pd.DataFrame(rows)


def measure_asymmetry(potential: Potential, known: Mapping[str, Atoms]) -> dict[str, float]:
    """Asymmetry of forces, and what follows for achiral and chiral crystals."""
    rattled = [rattle(atoms) for atoms in choose(known, CHIRAL, 2).values()]
    errors = [compare_images(potential, atoms, "reflection") for atoms in rattled]
    found = {
        "energy (meV/atom)": max(error.energy for error in errors),
        "forces (%)": max(error.forces for error in errors),
    }
    for name, atoms in choose(known, ACHIRAL, 3).items():
        numbers = measure_false_chirality(*compute_raw_force_constants(atoms, potential))
        found[f"splitting, {name} (THz)"] = numbers["false_splitting"]
        found[f"l, {name}"] = numbers["false_angular_momentum"]
    for name, atoms in choose(known, CHIRAL, 2).items():
        [hands] = measure_hands(potential, {name: atoms})
        found[f"hands, {name} (THz)"] = hands.value
    return found


def find_crossings(table: pd.DataFrame) -> pd.DataFrame:
    """Asymmetry of forces (%) at which lines cross the tolerances of a screening."""
    rows = []
    for column in (name for name in table if name.endswith("(THz)")):
        row: dict[str, object] = {"line": column}
        for tolerance in (DEGENERACY, NOISE):
            row[f"{tolerance:g} THz at (%)"] = interpolate(
                table["forces (%)"].to_numpy(), table[column].to_numpy(), tolerance
            )
        rows.append(row)
    return pd.DataFrame(rows)


def interpolate(x: FloatArray, y: FloatArray, level: float) -> float:
    """Where a line on logarithmic scales crosses a level; not a number where it does not."""
    for (a, c), (b, d) in pairwise(zip(np.log(x), np.log(y), strict=True)):
        if c <= np.log(level) <= d:
            return float(np.exp(a + (b - a) * (np.log(level) - c) / (d - c)))
    return float("nan")


def survey_rotations(exact: Potential) -> pd.DataFrame:
    """What averages leave of terms that depend on the orientation: error of forces in %."""
    crystal = choose(read_known_crystals(exact), CHIRAL, 1).popitem()[1]
    # In its cell at rest, as displaced supercells are.
    rattled = crystal.copy()
    rattled.rattle(0.1, seed=3)
    own = find_crystal_symmetry(crystal).operations.cartesian_rotations
    groups = {
        "nothing": GROUPS["bare"],
        "own point group": IsometryGroup("own", lambda _: own, len(own), False, ""),
        **{name: GROUPS[name] for name in ("lattice", "octahedron", "icosahedron")},
    }
    rows = []
    for name, group in groups.items():
        row: dict[str, object] = {"averaged over": name, "evaluations": len(group.find(rattled))}
        for order in ORDERS:
            potential = GroupAverage(Perturbed(exact, break_rotations(STRENGTH, order)), group)
            turned = compare_images(potential, rattled, "rotation")
            images = [make_image(rattled, isometry) for isometry in own]
            row[f"any way, k = {order} (%)"] = turned.forces
            row[f"own, k = {order} (%)"] = compare_with(potential, rattled, images).forces
        rows.append(row)
    return pd.DataFrame(rows)


def survey_frames() -> pd.DataFrame:
    """How principal axes of a neighbourhood turn when the atom moves by a thousandth of an Å."""
    rows = []
    for path in sorted(locate_source(Path("demo")).glob("*.cif")):
        [material] = read_materials(path, AS_GIVEN)
        assert isinstance(material, Material)
        atoms = material.atoms
        for site in np.unique(find_dataset(atoms, AS_GIVEN).equivalent_atoms):
            moments = find_moments(atoms, int(site))
            gap = np.diff(np.linalg.eigvalsh(moments)).min() / np.trace(moments)
            row = {"crystal": path.stem, "site": atoms.symbols[site], "gap": gap}
            rows.append({**row, "turn (degrees)": measure_turn(atoms, int(site))})
    return pd.DataFrame(rows)


def find_moments(atoms: Atoms, site: int) -> FloatArray:
    """Second moments (3, 3) of the neighbourhood of an atom, faded to the cutoff."""
    first, vectors = neighbor_list("iD", atoms, CUTOFF + 1.5)
    vectors = vectors[first == site]
    weights = (1 - (np.linalg.norm(vectors, axis=1) / (CUTOFF + 1.5)) ** 2) ** 3
    return np.einsum("e,ex,ey->xy", weights, vectors, vectors)


def measure_turn(atoms: Atoms, site: int) -> float:
    """Largest angle (degrees) by which a principal axis turns between six small displacements."""
    axes = []
    for move in (*np.eye(3), *np.roll(np.eye(3), 1, axis=0) + np.eye(3)):
        moved = atoms.copy()
        moved.positions[site] += MOVE * move
        axes.append(np.linalg.eigh(find_moments(moved, site))[1])
    overlaps = [np.abs(np.einsum("xa,xa->a", a, b)).min() for a in axes for b in axes]
    return float(np.degrees(np.arccos(min(1.0, *overlaps))))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", choices=("mirrors", "rotations", "frames"))
    parser.add_argument("--potential", default="facet-tetrahedra", help="one that is invariant")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.table == "frames":
        table = survey_frames()
        print(table.to_markdown(index=False, floatfmt=".3g"))
        sharp = table["turn (degrees)"] > 10
        print(f"{int(sharp.sum())} of {len(table)} sites turn by more than 10 degrees")
        return
    exact = load_potential(options.potential)
    if options.table == "rotations":
        print(survey_rotations(exact).to_markdown(index=False, floatfmt=".2g"))
        return
    table = survey_mirrors(exact)
    print(table.to_markdown(index=False, floatfmt=".2g"))
    print(find_crossings(table).to_markdown(index=False, floatfmt=".2g"))


if __name__ == "__main__":
    main()
