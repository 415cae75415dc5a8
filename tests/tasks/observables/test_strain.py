"""Response to strain: a closed form, a change of volume, finite differences, symmetry, hands."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from phonopy import Phonopy

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import find_crystal_operations, select_principal_axes
from tasks.chirality.brillouin import compute_helicity
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.raman import measure_branch_splittings
from tasks.crystals.cells import make_atoms
from tasks.observables.strain import (
    STRAIN,
    StrainedCrystals,
    choose_strains,
    compute_strained_crystals,
    measure_splitting_slopes,
    measure_strain_slopes,
)
from tasks.phonons import compute_all_force_constants, compute_force_constants, make_phonopy
from tasks.phonons.elasticity import (
    MANDEL,
    measure_strain_responses,
    rotate_tensors,
    strain_crystal,
)
from tasks.phonons.mirror import make_mirror_image
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax
from tasks.symmetry.zone import find_zone_images
from tests.crystals import quartz, random_crystal, to_phonopy, wurtzite, zincblende
from tests.tasks.alloys import SETTINGS, _alloys, emt

pytestmark = pytest.mark.slow

EXACT = RelaxationSettings(max_force=1e-6, max_stress=1e-7)
GENERAL = (0.13, 0.21, 0.34)
WAVE_NUMBER = 0.005


@pytest.fixture(scope="module")
def helix():
    """A chiral alloy (P3_121) at rest, force constants of a real potential."""
    [found] = relax([_alloys()["helix"]], emt(), EXACT)
    return compute_force_constants(found.atoms, emt(), SETTINGS.phonons).phonon


def strain(phonon: Phonopy, strains) -> StrainedCrystals:
    return compute_strained_crystals(phonon, strains, emt(), EXACT, SETTINGS.phonons)


@pytest.fixture(scope="module")
def strained(helix):
    return strain(helix, STRAIN * choose_strains(helix))


@pytest.fixture(scope="module")
def at_rest(helix):
    """The same, fit for all q-points as the strained crystals are."""
    [response] = measure_strain_responses([make_atoms(helix.unitcell)], emt())
    return impose_sum_rules(helix, response).crystal


@pytest.fixture(scope="module")
def slopes(at_rest, strained):
    return measure_strain_slopes(at_rest, strained, [GENERAL])


@pytest.mark.parametrize(
    ("phonon", "n_strains"),
    [(zincblende, 1), (quartz, 2), (wurtzite, 2), (lambda: random_crystal(1, 0), 6)],
)
def test_chosen_strains_give_all_six(phonon, n_strains):
    crystal = Phonopy(to_phonopy(phonon()), np.eye(3, dtype=int), primitive_matrix=np.eye(3))
    chosen = choose_strains(crystal)
    images = rotate_tensors(chosen, find_crystal_operations(crystal).cartesian)
    assert np.linalg.matrix_rank(images.reshape(-1, 9), tol=0.1) == 6
    assert len(chosen) == n_strains
    np.testing.assert_allclose(np.linalg.norm(chosen, axis=(1, 2)), 1)


def pair_phonon(at_rest: Atoms, deformation, reach: float, size: int) -> Phonopy:
    """Atoms bound by pair potentials in a deformed crystal, fractional coordinates kept.

    At rest V' = 0 and V'' = 3 (2.55 / r)^6; under a stretch s = ln(r / r0) of a pair they are
    r V'' = r0 V''(r0) (1 - 3 s) and V' = V''(r0) r0 s.
    """
    atoms = at_rest.copy()
    atoms.set_cell(atoms.cell @ (np.eye(3) + deformation), scale_atoms=True)
    phonon = make_phonopy(to_phonopy(atoms), size * np.eye(3, dtype=int))
    first, second, shifts, r0 = neighbor_list("ijSd", at_rest, reach)
    vectors = atoms.positions[second] - atoms.positions[first] + shifts @ atoms.cell
    r = np.linalg.norm(vectors, axis=1)
    n, rest, s = vectors / r[:, None], 3 * (2.55 / r0) ** 6, np.log(r / r0)
    stiff, tension = rest * (1 - 3 * s), rest * s
    outer = np.einsum("pa,pb->pab", n, n)
    blocks = -(stiff - tension)[:, None, None] * outer - tension[:, None, None] * np.eye(3)
    sites = find_sites(phonon, second, shifts, size)
    constants = np.zeros((len(atoms), len(phonon.supercell), 3, 3))
    np.add.at(constants, (first, sites), blocks)
    np.add.at(constants, (first, phonon.primitive.p2s_map[first]), -blocks)
    phonon.force_constants = constants
    return phonon


def find_sites(phonon: Phonopy, atoms, shifts, size: int):
    """Sites of the supercell that are copies of atoms in other cells."""
    there = (phonon.primitive.scaled_positions[atoms] + shifts) / size
    apart = there[:, None] - phonon.supercell.scaled_positions
    distances = np.abs(apart - np.rint(apart)).max(axis=-1)
    assert distances.min(axis=1).max() < 1e-6
    return distances.argmin(axis=1)


def pair_crystals(atoms: Atoms, reach: float, size: int, strains=None):
    """The crystal at rest, and under strains, or those that its symmetry leaves open."""
    at_rest = pair_phonon(atoms, np.zeros((3, 3)), reach, size)
    strains = 1e-4 * (choose_strains(at_rest) if strains is None else strains)
    plus, minus = (
        tuple(pair_phonon(atoms, sign * strain, reach, size) for strain in strains)
        for sign in (1, -1)
    )
    return at_rest, StrainedCrystals(strains, plus, minus)


def test_nearest_neighbours_in_a_face_centred_lattice_follow_their_closed_form():
    """Longitudinal at X: M w^2 = 8 (A + B), A = V'', B = V'/r of the nearest neighbours.

    Its derivatives by the strain along and across q are 4 r (A' + B') + 8 (A - B) and
    2 r (A' + B') - 4 (A - B), here with A = 3, r A' = -9, B = 0 and r B' = 3.
    """
    copper = bulk("Cu", a=2.55 * np.sqrt(2))
    at_rest, strained = pair_crystals(copper, 2.6, 3)
    X = copper.cell @ np.array([1.0, 0, 0]) / (2.55 * np.sqrt(2))
    found = measure_strain_slopes(at_rest, strained, [X])
    assert found.frequencies[0, 2] == pytest.approx(
        at_rest.unit_conversion_factor * np.sqrt(8 * 3 / at_rest.primitive.masses[0])
    )
    expected = np.array([4 * -6 + 8 * 3, 2 * -6 - 4 * 3, 2 * -6 - 4 * 3, 0, 0, 0]) / (8 * 3)
    np.testing.assert_allclose(-2 * found.gruneisen.value[0, 2], expected, atol=1e-4)
    assert found.gruneisen.error[0, 2].max() < 1e-3


def test_slopes_are_the_differences_of_strained_crystals():
    """Under strains that were not computed, but follow by symmetry; a smooth model of quartz."""
    at_rest, strained = pair_crystals(quartz(), 3.3, 3)
    _, others = pair_crystals(quartz(), 3.3, 3, MANDEL[[1, 3, 5]])
    slopes = measure_strain_slopes(at_rest, strained, [GENERAL])
    there, back = ([measure(one) for one in side] for side in sides(others))
    # Of a shear of unit length the two elements are one over the root of two.
    components = (
        np.linalg.norm(others.strains, axis=(1, 2))
        * np.diag([1, 1, 1, *[np.sqrt(2)] * 3])[:, [1, 3, 5]]
    )
    for number, values in ((0, -slopes.gruneisen.value), (1, slopes.helicity_slope.value)):
        pairs = zip(there, back, strict=True)
        found = np.array([(one[number] - other[number]) / 2 for one, other in pairs]).T
        expected = values[0] @ components
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=1e-3 * largest)
        assert largest > 1e-5


def test_a_change_of_volume_is_the_sum_of_three_stretches(helix, strained):
    """Mode Grüneisen parameters -d ln nu / d ln V, from force constants at two volumes."""
    found = measure_strain_slopes(helix, strained, np.zeros((1, 3)))
    step = 0.002
    atoms = [
        strain_crystal(make_atoms(helix.unitcell), sign * step * np.eye(3)) for sign in (1, -1)
    ]
    at_rest = [one.atoms for one in relax(atoms, emt(), EXACT.model_copy(update={"cell": "fixed"}))]
    larger, smaller = (
        compute_modes(one.phonon, np.zeros(3)).frequencies[0, 3:]
        for one in compute_all_force_constants(
            at_rest, emt(), SETTINGS.phonons, helix.supercell_matrix
        )
    )
    volumes = np.log(at_rest[0].get_volume() / at_rest[1].get_volume())
    expected = -np.log(larger / smaller) / volumes
    gruneisen = found.gruneisen.value[0, 3:, :3].sum(axis=-1) / 3
    np.testing.assert_allclose(gruneisen, expected, rtol=5e-3, atol=5e-3)


def sides(strained):
    return strained.plus, strained.minus


def measure(crystal):
    """Logarithms of frequencies, and helicities."""
    modes = compute_modes(crystal, GENERAL)
    sets = find_degenerate_sets(modes.frequencies)
    images = find_zone_images(modes.q_points, crystal.primitive.cell)
    mean = compute_mean_angular_momentum(modes.eigenvectors, sets)
    return np.log(modes.frequencies[0]), compute_helicity(mean, images)[0]


def test_helicities_keep_adding_up_to_zero(slopes):
    np.testing.assert_allclose(slopes.helicity_slope.value.sum(axis=1), 0, atol=1e-9)
    assert np.abs(slopes.helicity_slope.value).max() > 0.1


def test_numbers_of_a_symmetric_point_have_its_symmetry(at_rest, strained):
    """At Γ of 32: xx = yy, no shear moves the mean of a set, and only E modes are driven apart."""
    found = measure_strain_slopes(at_rest, strained, np.zeros((1, 3)))
    value, width = found.gruneisen.value[0, 3:], found.separation.value[0, 3:]
    largest = np.abs(value).max()
    np.testing.assert_allclose(value[:, 0], value[:, 1], atol=1e-4 * largest)
    np.testing.assert_allclose(value[:, 3:], 0, atol=1e-4 * largest)
    double = np.bincount(found.sets[0])[found.sets[0]][3:] == 2
    assert double.sum() == 22
    np.testing.assert_allclose(width[~double], 0, atol=1e-9)
    np.testing.assert_allclose(width[:, 2], 0, atol=1e-3)
    assert (width[double][:, 0] > 0.01).any()


def test_what_has_a_hand_turns_round_with_it(at_rest, strained, slopes):
    image = make_mirror_image(at_rest.phonon)
    plus, minus = ([make_mirror_image(one.phonon) for one in side] for side in sides(strained))
    mirrored = StrainedCrystals(strained.strains, tuple(plus), tuple(minus))
    other = measure_strain_slopes(image, mirrored, [GENERAL])
    np.testing.assert_allclose(other.gruneisen.value, slopes.gruneisen.value, atol=1e-3)
    np.testing.assert_allclose(other.helicity, -slopes.helicity, atol=1e-4)
    largest = np.abs(slopes.helicity_slope.value).max()
    np.testing.assert_allclose(
        other.helicity_slope.value, -slopes.helicity_slope.value, atol=1e-2 * largest
    )
    one, turned = (
        measure_splitting_slopes(crystal, crystals, select_principal_axes(crystal)[0], WAVE_NUMBER)
        for crystal, crystals in ((at_rest, strained), (image, mirrored))
    )
    np.testing.assert_allclose(turned.linear, -one.linear, atol=1e-4)
    largest = np.abs(one.slope.value).max()
    np.testing.assert_allclose(turned.slope.value, -one.slope.value, atol=1e-2 * largest)
    assert largest > 0.1


def test_splittings_follow_a_strain_that_keeps_the_axis(helix, at_rest, strained):
    """Under zz the strained crystals have splittings of their own."""
    [axis] = select_principal_axes(at_rest)
    found = measure_splitting_slopes(at_rest, strained, axis, WAVE_NUMBER)
    [expected] = measure_branch_splittings(at_rest)
    np.testing.assert_allclose(found.linear, expected.linear, atol=1e-3)
    along = strain(helix, STRAIN * MANDEL[2:3])
    [[there], [back]] = (measure_branch_splittings(side[0]) for side in sides(along))
    expected = (there.linear - back.linear) / (2 * STRAIN)
    np.testing.assert_allclose(
        found.slope.value[:, 2], expected, atol=0.03 * np.abs(expected).max()
    )
