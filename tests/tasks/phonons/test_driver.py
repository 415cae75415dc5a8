"""Force constants: exact for harmonic crystals, cheap, and as good as the supercell is large."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from phonopy import Phonopy

from potentials import (
    Equivariance,
    Evaluation,
    Potential,
    PotentialCard,
    load_potential,
    remove_average,
)
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.crystals.structures import standardize
from tasks.failures import RemediableError
from tasks.phonons import (
    ForceConstants,
    PhononSettings,
    compute_all_force_constants,
    compute_commensurate_frequencies,
    compute_force_constants,
    make_phonopy,
)
from tasks.phonons.displaced_supercells import DisplacedCrystal, count_evaluations, displace
from tasks.phonons.phonopy_objects import symmetrize
from tasks.phonons.supercells import choose_supercell, find_nearest_image_distance
from tasks.relaxation import RelaxationSettings, relax
from tests.crystals import random_crystal, sampled_groups
from tests.flows.conftest import DEMO
from tests.tasks.alloys import emt

pytestmark = pytest.mark.slow

O3, SO3 = Equivariance.O3, Equivariance.SO3
SMALL = PhononSettings(min_supercell_length=6.0, max_atoms=64, max_enlargements=0)
SMALLER = PhononSettings(min_supercell_length=4.0, max_atoms=20, max_enlargements=0)


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("7net-0")


@pytest.fixture(scope="module")
def silicon(potential):
    [relaxed] = relax([bulk("Si", a=5.45)], potential, RelaxationSettings())
    return compute_force_constants(relaxed.atoms, potential, SMALL)


def displaced(atoms: Atoms, settings: PhononSettings, equivariance: Equivariance):
    """Displaced crystal in the supercell that the settings ask for."""
    matrix = choose_supercell(atoms, settings.min_supercell_length, settings.max_atoms)
    return displace(atoms, matrix, settings.displacement, equivariance)


def replace_settings(settings: PhononSettings, **changes: float) -> PhononSettings:
    return settings.model_copy(update=changes)


def demo(name: str) -> Atoms:
    return standardize(read(DEMO / f"{name}.cif"), 1e-3)


def carried(constants: np.ndarray, crystal: DisplacedCrystal, operation: int) -> np.ndarray:
    """Full force constants carried along with the supercell by one of its operations."""
    symmetry, cell = crystal.phonon.symmetry, crystal.phonon.supercell.cell
    fractional = symmetry.symmetry_operations["rotations"][operation]
    rotation = cell.T @ fractional @ np.linalg.inv(cell.T)
    sites = symmetry.atomic_permutations[operation]
    image = np.empty_like(constants)
    image[np.ix_(sites, sites)] = rotation @ constants @ rotation.T
    return image


def crystal_and_image(crystal: DisplacedCrystal, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random force constants that obey all proper operations, and those of the mirror image.

    Where an improper operation exists it carries the ones into the others; in a chiral crystal
    they have nothing in common.
    """
    rng, n = np.random.default_rng(seed), len(crystal.phonon.supercell)
    rotations = crystal.phonon.symmetry.symmetry_operations["rotations"]
    proper = np.linalg.det(rotations) > 0

    def generic() -> np.ndarray:
        constants = rng.normal(size=(n, n, 3, 3))
        return sum(carried(constants, crystal, g) for g in np.flatnonzero(proper)) / proper.sum()

    constants = generic()
    if proper.all():
        return constants, generic()
    return constants, carried(constants, crystal, int(np.argmin(proper)))


def harmonic_forces(
    crystal: DisplacedCrystal, constants: np.ndarray, image: np.ndarray, seed: int
) -> list[np.ndarray]:
    """Forces of harmonic crystals with some forces at rest, for `crystal.structures()`."""
    phonon, rng = crystal.phonon, np.random.default_rng(seed)
    order = {int(s): u for u, s in enumerate(phonon.supercell.u2s_map)}
    sites = [order[int(s)] for s in phonon.supercell.s2u_map]
    rest, image_rest = rng.normal(size=(2, len(crystal.atoms), 3))
    forces = [rest, -image_rest] if crystal.averaged else [rest]
    moves = [
        (int(entry["number"]), entry["displacement"]) for entry in phonon.dataset["first_atoms"]
    ]
    forces += [rest[sites] - constants[:, atom] @ move for atom, move in moves]
    for (atom, move), paired in zip(moves, crystal.paired, strict=True):
        if paired and crystal.averaged:
            forces.append(-(image_rest[sites] + image[:, atom] @ move))
        elif paired:
            forces.append(rest[sites] + constants[:, atom] @ move)
    return forces


@pytest.mark.parametrize("equivariance", [O3, SO3])
@pytest.mark.parametrize("number", sampled_groups())
def test_harmonic_force_constants_are_exact(number, equivariance):
    """Of any crystal; of a potential without mirror symmetry, the mean over crystal and image."""
    atoms = random_crystal(number, seed=1)
    settings = PhononSettings(min_supercell_length=3.0, max_atoms=max(len(atoms), 60))
    crystal = displaced(atoms, settings, equivariance)
    constants, image = crystal_and_image(crystal, seed=number)
    mean = (constants + image) / 2
    one, other = (constants, image) if equivariance is SO3 else (mean, mean)
    crystal.phonon.forces = crystal.take_odd_forces(harmonic_forces(crystal, one, other, seed=2))
    crystal.phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    # Phonopy's blocks are those of displaced atom and atom felt.
    wanted = mean.transpose(1, 0, 3, 2)[crystal.phonon.primitive.p2s_map]
    assert np.abs(crystal.phonon.force_constants - wanted).max() < 1e-10


@pytest.mark.parametrize("name", ["te", "zno", "zns-sphalerite"])
def test_force_constants_are_those_of_usual_displacements(potential, name):
    """Phonopy's displacements, each evaluated together with its inverted image, within 1e-3."""
    atoms = demo(name)
    found = compute_force_constants(atoms, potential, SMALLER).phonon
    usual = make_phonopy(make_phonopy_cell(atoms), found.supercell_matrix)
    usual.generate_displacements(distance=SMALLER.displacement)
    cells = [make_atoms(cell) for cell in usual.supercells_with_displacements]
    evaluated = potential.evaluate([make_atoms(usual.supercell), *cells]).forces
    usual.forces = np.array(evaluated[1:]) - evaluated[0]
    usual.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    symmetrize(usual)
    difference = np.abs(found.force_constants - usual.force_constants).max()
    assert difference < 1e-3 * np.abs(usual.force_constants).max()


def test_average_over_the_inversion_matters(potential):
    """Without it force constants of tellurium are others by more than the displacements' error."""
    crystals = [
        compute_force_constants(demo("te"), p, SMALLER)
        for p in (potential, remove_average(potential))
    ]
    mean, bare = (found.phonon.force_constants for found in crystals)
    assert np.abs(mean - bare).max() > 2e-3 * np.abs(mean).max()


COUNTS = {
    "zno": (4, 4), "wc": (4, 2), "linbo3": (10, 10), "te": (4, 3), "quartz-152": (10, 9),
    "pbtio3": (8, 8), "si": (1, 1), "zns-sphalerite": (2, 2), "tio2-rutile": (3, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_evaluations(name):
    """A potential without mirror symmetry takes hardly more than one with it."""
    counted, _ = count_evaluations(demo(name), SMALL)
    assert (counted[SO3], counted[O3]) == COUNTS[name]


@pytest.mark.parametrize("number", sampled_groups()[::3])
def test_count_is_that_of_the_displaced_crystal(number):
    atoms = random_crystal(number, seed=1)
    settings = PhononSettings(min_supercell_length=5.0, max_atoms=max(len(atoms), 80))
    counted, n_atoms = count_evaluations(atoms, settings)
    for equivariance in (O3, SO3):
        crystal = displaced(atoms, settings, equivariance)
        assert counted[equivariance] == crystal.n_evaluations
        assert n_atoms == len(crystal.phonon.supercell)


def test_potential_evaluates_what_was_counted(potential, monkeypatch):
    """And beside it the primitive cell at rest with its image."""
    counts: list[int] = []
    bare = remove_average(potential)
    original = type(bare).evaluate

    def counted(self: object, structures: Sequence[Atoms]) -> Evaluation:
        counts.append(len(structures))
        return original(self, structures)

    monkeypatch.setattr(type(bare), "evaluate", counted)
    found = compute_all_force_constants([demo("zno"), demo("te")], potential, SMALLER)
    assert counts == [sum(one.n_evaluations + 2 for one in found)]


def test_only_inequivalent_atoms_are_displaced():
    assert len(displaced(bulk("Si"), SMALL, O3).phonon.displacements) == 1
    rocksalt = bulk("MgO", "rocksalt", a=4.2)
    assert len(displaced(rocksalt, SMALL, O3).phonon.displacements) == 2


def test_crystals_together_are_as_alone():
    settings = replace_settings(SMALL, min_supercell_length=5.0)
    crystals = [bulk("Cu", a=3.6), bulk("CuAu", "zincblende", a=5.74), bulk("Al", a=4.0)]
    together = compute_all_force_constants(crystals, emt(), settings)
    for atoms, found in zip(crystals, together, strict=True):
        alone = compute_force_constants(atoms, emt(), settings)
        assert np.array_equal(found.phonon.force_constants, alone.phonon.force_constants)
        assert found.n_evaluations == alone.n_evaluations


def test_time_is_shared_by_number_of_atoms():
    """One displaced supercell each, and the primitive cell at rest."""
    found = compute_all_force_constants([bulk("Cu", a=3.6), bulk("Al", a=4.0)], emt(), SMALL)
    sizes = [len(one.phonon.supercell) + 1 for one in found]
    times = [one.potential_time for one in found]
    assert times[0] / times[1] == pytest.approx(sizes[0] / sizes[1])
    assert min(times) > 0


def test_an_error_stays_with_its_crystal():
    """One too large, one of an element the potential does not know."""
    crystals = [bulk("Cu", a=3.6), bulk("Cu", a=3.6) * (5, 4, 4), bulk("SiC", "zincblende", a=4.4)]
    copper, large, unknown = compute_all_force_constants(crystals, emt(), SMALL)
    assert isinstance(copper, ForceConstants)
    assert isinstance(large, RemediableError)
    assert isinstance(unknown, NotImplementedError)
    with pytest.raises(RemediableError):
        compute_force_constants(crystals[1], emt(), SMALL)
    assert compute_all_force_constants([], emt(), SMALL) == []


class Failing:
    """EMT that gives no finite forces, or has no memory for several crystals."""

    card = emt().card

    def __init__(self, *, memory: bool) -> None:
        self.memory = memory

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        if not self.memory:
            raise MemoryError
        found = emt().evaluate(structures)
        return replace(found, forces=tuple(np.full_like(f, np.nan) for f in found.forces))


def test_forces_must_be_numbers():
    [found] = compute_all_force_constants([bulk("Cu", a=3.6)], Failing(memory=True), SMALL)
    assert isinstance(found, ValueError)
    assert "not a number" in str(found)


def test_want_of_memory_concerns_all_crystals():
    with pytest.raises(MemoryError):
        compute_all_force_constants([bulk("Cu", a=3.6)] * 2, Failing(memory=False), SMALL)


def test_enlarged_supercell_is_longer_and_counted():
    """Every boundary is bad where no shift of frequencies is allowed."""
    settings = PhononSettings(min_supercell_length=5.0, max_atoms=200, max_boundary_shift=1e-9)
    atoms = bulk("CuAu", "zincblende", a=5.74)
    first = compute_force_constants(atoms, emt(), replace_settings(settings, max_enlargements=0))
    second = compute_force_constants(atoms, emt(), settings)
    third = compute_force_constants(atoms, emt(), replace_settings(settings, max_enlargements=2))
    lengths = [
        find_nearest_image_distance(one.phonon.supercell.cell) for one in (first, second, third)
    ]
    assert [one.n_enlargements for one in (first, second, third)] == [0, 1, 2]
    assert [one.n_evaluations for one in (first, second, third)] == [2, 4, 6]
    assert min(lengths[1] / lengths[0], lengths[2] / lengths[1]) >= 1.25 - 1e-6
    assert third.boundary_shift < first.boundary_shift


@dataclass(frozen=True)
class Limited:
    """A potential with room for so many atoms."""

    error: Exception
    largest: int

    @property
    def card(self) -> PotentialCard:
        return emt().card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        if max(map(len, structures)) > self.largest:
            raise self.error
        return emt().evaluate(structures)


@pytest.mark.parametrize("error", [MemoryError("no memory left"), ValueError("no neighbours")])
def test_smaller_result_stands_where_the_enlarged_supercell_fails(error):
    """Room for the larger supercell of gold and copper, not for that of copper alone."""
    settings = PhononSettings(min_supercell_length=5.0, max_atoms=200, max_boundary_shift=1e-9)
    crystals = [bulk("Cu"), bulk("CuAu", "zincblende", a=5.74)]
    never = replace_settings(settings, max_enlargements=0)
    before, after = (compute_all_force_constants(crystals, emt(), s) for s in (never, settings))
    sizes = [len(found.phonon.supercell) for found in after]
    found = compute_all_force_constants(crystals, Limited(error, min(sizes)), settings)
    best = [a if n == min(sizes) else b for a, b, n in zip(after, before, sizes, strict=True)]
    assert sorted(one.n_enlargements for one in found) == [0, 1]
    for one, expected in zip(found, best, strict=True):
        constants = expected.phonon.force_constants
        np.testing.assert_allclose(one.phonon.force_constants, constants, atol=1e-12)


def test_without_room_to_enlarge_the_result_stands_unconverged():
    settings = PhononSettings(min_supercell_length=5.0, max_atoms=14, max_boundary_shift=1e-9)
    found = compute_force_constants(bulk("CuAu", "zincblende", a=5.74), emt(), settings)
    assert found.n_enlargements == 0
    assert found.boundary_shift > settings.max_boundary_shift


def test_only_crystals_that_need_it_are_enlarged():
    """The limit is set between the shifts of two crystals."""
    settings = PhononSettings(min_supercell_length=5.0, max_atoms=40)
    crystals = [bulk("Cu", a=3.6), bulk("Au", a=4.07)]
    shifts = [
        compute_force_constants(
            atoms, emt(), replace_settings(settings, max_enlargements=0)
        ).boundary_shift
        for atoms in crystals
    ]
    between = replace_settings(settings, max_boundary_shift=float(np.mean(shifts)))
    found = compute_all_force_constants(crystals, emt(), between)
    assert [one.n_enlargements for one in found] == [int(s > np.mean(shifts)) for s in shifts]


def test_force_constants_obey_sum_rule_and_permutation(silicon):
    constants = silicon.phonon.force_constants
    assert np.abs(constants.sum(axis=1)).max() < 1e-10
    first = silicon.phonon.primitive.p2s_map
    onsite = constants[np.arange(len(first)), first]
    assert np.allclose(onsite, onsite.transpose(0, 2, 1), atol=1e-12)
    # What symmetrisation changed is noise of the displacements, not physics.
    assert 0 < silicon.symmetrisation < 0.02 * np.abs(constants).max()


def test_silicon_is_stable_and_threefold_degenerate_at_gamma(silicon):
    frequencies = compute_commensurate_frequencies(silicon.phonon)
    n_q = round(abs(np.linalg.det(silicon.phonon.supercell_matrix)))
    assert len(frequencies) == 6 * n_q - 3
    assert frequencies.min() > 1.0
    optical = silicon.phonon.run_qpoints([[0, 0, 0]]).frequencies[0, 3:]
    assert np.ptp(optical) < 1e-4
    assert 11.0 < optical.mean() < 15.0


def test_forces_of_the_undisplaced_crystal_do_not_matter(potential):
    """Off the minimum the residual forces are subtracted: harmonic terms stay nearly the same."""
    zincblende = bulk("ZnS", "zincblende", a=5.42)
    moved = zincblende.copy()
    moved.positions[1] += 1e-4
    at_rest = compute_force_constants(zincblende, potential, SMALLER).phonon
    off = compute_force_constants(moved, potential, SMALLER).phonon
    highest = [p.run_qpoints([[0.5, 0, 0]]).frequencies.max() for p in (at_rest, off)]
    assert highest[0] == pytest.approx(highest[1], abs=0.05)


def test_unstable_crystal_shows_imaginary_frequencies(potential):
    """Aluminium in the simple cubic structure."""
    found = compute_force_constants(bulk("Al", "sc", a=2.72), potential, SMALL)
    assert compute_commensurate_frequencies(found.phonon).min() < -0.5


def test_phonopy_uses_the_given_cell_as_primitive():
    atoms = bulk("ZnS", "zincblende", a=5.42)
    phonon = make_phonopy(make_phonopy_cell(atoms), np.diag([2, 2, 2]))
    assert np.allclose(phonon.primitive.cell, atoms.cell)
    assert len(phonon.primitive) == 2


def test_symmetry_of_the_supercell_is_searched_when_it_is_asked_for():
    atoms = random_crystal(152, seed=1, max_atoms=9)
    found = make_phonopy(make_phonopy_cell(atoms), np.diag([2, 2, 1]))
    usual = Phonopy(make_phonopy_cell(atoms), np.diag([2, 2, 1]), primitive_matrix=np.eye(3))
    assert "_symmetry" not in vars(found)
    for one, other in (
        (found.symmetry, usual.symmetry),
        (found.primitive_symmetry, usual.primitive_symmetry),
    ):
        for name in ("rotations", "translations"):
            np.testing.assert_array_equal(
                one.symmetry_operations[name], other.symmetry_operations[name]
            )
        np.testing.assert_array_equal(one.atomic_permutations, other.atomic_permutations)
