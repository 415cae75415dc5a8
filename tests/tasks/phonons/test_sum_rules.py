"""Interpolated force constants obey the sum rules, sound is exact, commensurate modes stay."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import DynmatToForceConstants

from potentials import load_potential
from tasks.chirality import ChiralitySettings, analyze_force_constants
from tasks.crystals.structures import standardize
from tasks.phonons import (
    PhononSettings,
    compute_commensurate_frequencies,
    compute_force_constants,
    sum_rules,
)
from tasks.phonons.elasticity import (
    GPA,
    StrainResponse,
    compute_elastic_constants,
    compute_sound_velocities,
    measure_strain_responses,
)
from tasks.phonons.fourier import compute_dynamical_matrices
from tasks.phonons.sum_rules import OTHER_WEIGHTS, WEIGHTS, impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax
from tasks.sources.materials import read_materials
from tasks.symmetry.zone import move_to_first_zone
from tests import crystals
from tests.crystals import random_crystal, spring_crystal, spring_phonon

pytestmark = pytest.mark.slow

QUARTZ = Path(__file__).parents[3] / "data" / "demo" / "quartz-152.cif"
GROUPS = (1, 4, 8, 36, 82, 146, 152)
# The point groups of these allow an axial vector linear in q.
GYROTROPIC = (1, 4, 76, 198)
LONG = 6.0  # Å


def bond_springs(atoms, cutoff):
    """Springs along single bonds."""
    i, j, lattice, r, d = neighbor_list("ijSDd", atoms, cutoff)
    vectors = (r / d[:, None]) * np.sqrt(20 * np.exp(-d / 1.5))[:, None]
    return crystals._Springs(
        row=np.repeat(np.arange(len(i)), 2),
        atom=np.stack([i, j], axis=1).ravel(),
        lattice=np.stack([np.zeros_like(lattice), lattice], axis=1).reshape(-1, 3),
        vector=np.stack([-vectors, vectors], axis=1).reshape(-1, 3),
        n_rows=len(i),
    )


def coupled_springs(atoms, cutoff, seed=2, strength=12.0):
    """Springs that resist a random sum of stretches of five bonds of an atom, and all images."""
    rng, group = np.random.default_rng(seed), crystals.symmetry_operations(atoms)
    permutation, shift = crystals._atom_images(atoms, group)
    turns = crystals._cartesian_rotations(atoms.cell.array, group.rotations)
    i, j, lattice, r, d = neighbor_list("ijSDd", atoms, cutoff)
    parts, n_rows = [], 0
    for centre in np.unique(permutation.min(axis=0)):
        mine = np.flatnonzero(i == centre)
        bonds = np.append(mine[np.argsort(d[mine])][:3], rng.choice(mine, 2))
        weights = np.sqrt(strength * np.exp(-d[bonds] / 3)) * rng.normal(size=len(bonds))
        ends = (r[bonds] / d[bonds, None]) * weights[:, None]
        members = np.append(centre, j[bonds])
        cells = np.concatenate([np.zeros((1, 3), dtype=np.int64), lattice[bonds]])
        vectors = np.concatenate([-ends.sum(axis=0, keepdims=True), ends])
        parts.append(
            (
                n_rows + np.repeat(np.arange(len(turns)), len(members)),
                permutation[:, members].ravel(),
                (np.einsum("gab,mb->gma", group.rotations, cells) + shift[:, members]),
                np.einsum("gab,mb->gma", turns, vectors),
            )
        )
        n_rows += len(turns)
    rows, ends, cells, vectors = zip(*parts, strict=True)
    return crystals._Springs(
        np.concatenate(rows),
        np.concatenate(ends),
        np.concatenate([x.reshape(-1, 3) for x in cells]),
        np.concatenate([x.reshape(-1, 3) for x in vectors]),
        n_rows,
    )


def isometric_phonon(number, cutoff, size):
    """Crystal whose springs see distances only: its energy is invariant under rotations."""
    atoms = random_crystal(number, seed=1, max_atoms=12)
    springs = [bond_springs(atoms, cutoff), coupled_springs(atoms, cutoff)]
    phonon = Phonopy(crystals.to_phonopy(atoms), np.diag([size] * 3), primitive_matrix=np.eye(3))
    phonon.force_constants = crystals._compact_force_constants(springs, atoms, phonon, size)
    return phonon


@cache
def exact_phonon(number):
    """Such a crystal in a supercell in which no spring meets an image of its end."""
    cell = random_crystal(number, seed=1, max_atoms=12).cell.array
    return isometric_phonon(number, LONG, crystals._supercell_size(cell, 2 * LONG))


def folded(phonon, matrix, unit_cell=None, primitive_matrix=None):
    """Force constants that a smaller supercell of the same crystal gives."""
    small = Phonopy(
        phonon.primitive if unit_cell is None else unit_cell,
        matrix,
        primitive_matrix=np.eye(3) if primitive_matrix is None else primitive_matrix,
    )
    assert np.allclose(small.primitive.positions, phonon.primitive.positions)
    transform = DynmatToForceConstants(small.primitive, small.supercell, is_full_fc=False)
    found = phonon.run_qpoints(transform.commensurate_points, with_dynamical_matrices=True)
    transform.dynamical_matrices = found.dynamical_matrices
    transform.run()
    small.force_constants = transform.force_constants
    return small


@cache
def small_phonon(number):
    """What a supercell of eight cells, in which springs meet images of their ends, knows of it."""
    return folded(exact_phonon(number), np.diag([2, 2, 2]))


def sums(phonon):
    """Sums over Φ r (n, 3, 3, 3) and Φ r r (3, 3, 3, 3) with phonopy's division among images."""
    vectors, addresses = phonon.primitive.get_smallest_vectors()
    vectors = vectors @ phonon.primitive.cell
    first, second = np.zeros((addresses.shape[1], 3, 3, 3)), np.zeros((3, 3, 3, 3))
    for j, k in np.ndindex(addresses.shape[:2]):
        count, start = addresses[j, k]
        r = vectors[start : start + count]
        first[k] += np.multiply.outer(phonon.force_constants[k, j], r.mean(axis=0))
        second += np.multiply.outer(phonon.force_constants[k, j], r.T @ r / count)
    return first, second


def violations(phonon):
    """Violations of the rotational rule (eV/Å) and of Huang's (GPa), and the sum over Φ r."""
    first, second = sums(phonon)
    huang = np.abs(second - second.transpose(2, 3, 0, 1)).max() / (2 * phonon.primitive.volume)
    return np.abs(first - first.swapaxes(2, 3)).max(), GPA * huang, np.abs(first).max()


def response_of(phonon):
    """Response to strain of a crystal whose springs do not meet images of their ends."""
    first, second = sums(phonon)
    b = -second / (2 * phonon.primitive.volume)
    # C_αγβλ = [αβ,γλ] + [βγ,αλ] − [αγ,βλ]
    stiffness = np.einsum("abcd->acbd", b) + np.einsum("bcad->acbd", b) - b
    return StrainResponse(stiffness, first)


def near_gamma(scale):
    """Random q-points on the faces of a box around Γ."""
    q = np.random.default_rng(4).normal(size=(40, 3))
    return scale * q / np.abs(q).max(axis=1, keepdims=True)


def commensurate_matrices(phonon, reference):
    """Dynamical matrices of `phonon` where the supercell of `reference` fixes them."""
    points = DynmatToForceConstants(reference.primitive, reference.supercell).commensurate_points
    return phonon.run_qpoints(points, with_dynamical_matrices=True).dynamical_matrices


def assert_commensurate_matrices_stay(phonon, found):
    here, there = (commensurate_matrices(p, phonon) for p in (phonon, found))
    assert np.abs(here - there).max() < 1e-11 * np.abs(here).max()


@pytest.fixture(scope="module", params=GROUPS)
def case(request):
    """Springs with transverse parts, which rotations stretch, and what became of them."""
    phonon = spring_crystal(request.param)
    return phonon, impose_sum_rules(phonon)


def test_sum_rules_hold_for_springs_that_violate_them(case):
    phonon, found = case
    rotational, huang, largest = violations(phonon)
    assert rotational > 1e-3 * largest
    assert found.rotational_before == pytest.approx(rotational)
    assert found.huang_before == pytest.approx(huang, abs=1e-8)
    rotational, huang, _ = violations(found.phonon)
    assert max(rotational, found.rotational_after) < 1e-8 * largest
    assert max(huang, found.huang_after) < 1e-6
    assert not found.skipped


def test_commensurate_dynamical_matrices_stay(case):
    phonon, found = case
    assert_commensurate_matrices_stay(phonon, found.phonon)
    assert len(found.phonon.supercell) == 8 * len(phonon.supercell)


def test_interpolation_and_its_phonopy_object_are_one_crystal(case):
    assert_one_crystal(case[1])


@pytest.mark.parametrize("number", [4, 186])
def test_they_are_with_charges_too(number):
    phonon = spring_phonon(random_crystal(number, seed=3, max_atoms=6), seed=3, born=True)
    assert_one_crystal(impose_sum_rules(phonon))


def assert_one_crystal(found):
    """Its interpolation and its phonopy object have the same dynamical matrices."""
    cell = found.crystal.primitive.cell
    q = move_to_first_zone(np.random.default_rng(5).uniform(-1, 1, (9, 3)), cell)
    expected = found.phonon.run_qpoints(q, with_dynamical_matrices=True).dynamical_matrices
    matrices = compute_dynamical_matrices(found.crystal, q)
    np.testing.assert_allclose(matrices, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("born", [False, True])
def test_phonopy_object_is_made_when_it_is_asked_for(monkeypatch, born):
    found = impose_sum_rules(spring_phonon(random_crystal(19, max_atoms=8), born=born))
    made = []
    monkeypatch.setattr(
        sum_rules,
        "_make_longer_supercell",
        lambda phonon, make=sum_rules._make_longer_supercell: made.append(make(phonon)) or made[-1],
    )
    analyze_force_constants(found.crystal, ChiralitySettings(mesh_spacing=0.1, path_spacing=0.1))
    assert not made
    assert found.phonon is found.phonon
    assert made == [found.phonon]


@pytest.mark.parametrize("number", [8, 152])
def test_analysis_of_the_interpolation_is_that_of_its_phonopy_object(number):
    found = impose_sum_rules(spring_crystal(number))
    settings = ChiralitySettings(mesh_spacing=0.05, path_spacing=0.05)
    here, there = (analyze_force_constants(x, settings) for x in (found.crystal, found.phonon))
    numbers = ("mean_angular_momentum", "mean_helicity", "max_frequency", "helicity_dos")
    for name in (*numbers, "tensor", "splitting_max", "atomic_angular_momentum"):
        one, other = (np.array(getattr(each.record, name)) for each in (here, there))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max(initial=0))
    for name in ("frequency", "l_x", "l_y", "l_z", "helicity", "pam_integer"):
        one, other = (np.ma.filled(each.modes[name].astype(float), 0) for each in (here, there))
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_translations_and_exchange_of_indices_still_hold(case):
    _, found = case
    constants = found.phonon.force_constants.copy()
    again = found.phonon.replicate()
    again.force_constants = constants.copy()
    again.symmetrize_force_constants(show_drift=False)
    assert np.abs(again.force_constants - constants).max() < 1e-10 * np.abs(constants).max()


def test_space_group_still_holds(case):
    """Frequencies are equal at all q-points of a star, also between commensurate ones."""
    _, found = case
    rotations = found.phonon.primitive_symmetry.symmetry_operations["rotations"]
    # Rotations act on reciprocal coordinates by their transpose.
    star = found.phonon.run_qpoints(rotations.transpose(0, 2, 1) @ [0.13, -0.21, 0.34]).frequencies
    assert np.abs(star - star[0]).max() < 1e-8 * np.abs(star).max()


@pytest.mark.parametrize("number", GYROTROPIC)
def test_frequencies_are_linear_near_gamma_afterwards(number):
    """The usual division gives squares linear in q, of which one in three is negative."""
    phonon, q = small_phonon(number), near_gamma(1e-5)
    usual, now = (
        np.array([p.run_qpoints(factor * q).frequencies[:, 0] for factor in (1, 2)])
        for p in (phonon, impose_sum_rules(phonon).phonon)
    )
    assert np.median(usual) < 0
    assert np.median(usual[1] / usual[0]) == pytest.approx(np.sqrt(2), abs=0.05)
    assert np.median(now[1] / now[0]) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("number", [1, 19, 152])
def test_springs_along_short_bonds_violate_nothing(number):
    """In a supercell much longer than the bonds nearly nothing is left to divide."""
    phonon = isometric_phonon(number, cutoff=2.8, size=3)
    found = impose_sum_rules(phonon)
    assert found.rotational_before < 1e-9
    assert found.huang_before < 1e-7
    assert found.change < 1e-3 * np.abs(phonon.force_constants).max()
    q = near_gamma(0.4)
    usual, now = (
        p.run_qpoints(q, with_dynamical_matrices=True).dynamical_matrices
        for p in (phonon, found.phonon)
    )
    assert np.abs(usual - now).max() < 5e-3 * np.abs(usual).max()


@pytest.mark.parametrize("number", GYROTROPIC)
def test_sound_is_that_of_the_exact_crystal_where_its_response_is_known(number):
    exact, phonon = exact_phonon(number), small_phonon(number)
    found = impose_sum_rules(phonon, response_of(exact))
    q = near_gamma(1e-4)
    wanted, now = (p.run_qpoints(q).frequencies[:, :3] for p in (exact, found.phonon))
    assert np.abs(now / wanted - 1).max() < 1e-4
    assert_commensurate_matrices_stay(phonon, found.phonon)


@pytest.mark.parametrize("number", GYROTROPIC)
def test_false_instabilities_of_long_springs_in_a_small_supercell_vanish(number):
    exact, phonon = exact_phonon(number), small_phonon(number)
    rules, sound = (impose_sum_rules(phonon, known) for known in (None, response_of(exact)))
    q = np.concatenate([near_gamma(scale) for scale in (0.01, 0.02, 0.1, 0.2)])
    wanted, usual, ruled, exact_sound = (
        p.run_qpoints(q).frequencies[:, :3] for p in (exact, phonon, rules.phonon, sound.phonon)
    )
    assert wanted.min() > 0
    assert usual.min() < -0.1
    assert ruled.min() > 0
    assert np.std(exact_sound - wanted) < 0.3 * np.std(usual - wanted)


def test_supercell_may_be_skew_and_the_unit_cell_not_primitive():
    exact = exact_phonon(4)
    doubled = exact.primitive.copy()
    unit_cell = Phonopy(doubled, np.diag([2, 1, 1]), primitive_matrix=np.eye(3)).supercell
    skew = folded(exact, [[2, 1, 0], [0, 2, 0], [0, 1, 2]])
    not_primitive = folded(exact, np.diag([1, 2, 2]), unit_cell, np.diag([0.5, 1, 1]))
    q = near_gamma(0.3)
    found = {}
    for name, phonon in (("skew", skew), ("double", not_primitive), ("straight", small_phonon(4))):
        rules = impose_sum_rules(phonon, response_of(exact))
        assert_commensurate_matrices_stay(phonon, rules.phonon)
        assert violations(rules.phonon)[0] < 1e-9
        found[name] = rules.phonon.run_qpoints(q).frequencies
    assert np.abs(found["double"] - found["straight"]).max() < 1e-8
    assert np.abs(found["skew"] - found["straight"]).max() > 1e-3


@pytest.mark.parametrize("number", [4, 186])
def test_born_charges_change_neither_commensurate_matrices_nor_linear_sound(number):
    phonon = spring_phonon(random_crystal(number, seed=3, max_atoms=6), seed=3, born=True)
    found = impose_sum_rules(phonon)
    assert found.rotational_after < 1e-8
    assert_commensurate_matrices_stay(phonon, found.phonon)
    q = near_gamma(1e-4)
    slow, fast = (found.phonon.run_qpoints(f * q).frequencies[:, :3] for f in (1, 2))
    assert np.abs(fast / slow - 2).max() < 0.02


def test_charges_are_the_ones_given_but_for_their_sum():
    phonon = spring_phonon(random_crystal(4, seed=3, max_atoms=9), seed=3, born=True)
    charges = phonon.nac_params
    phonon.nac_params = {**charges, "born": np.array(charges["born"]) + 0.01 * np.eye(3)}
    born = np.array(impose_sum_rules(phonon).phonon.nac_params["born"])
    assert np.abs(born.sum(axis=0)).max() < 1e-12
    assert np.allclose(born, charges["born"], atol=1e-8)


def test_too_large_a_crystal_is_left_alone_and_said_so(monkeypatch):
    monkeypatch.setattr(sum_rules, "_MAX_IMAGES", 1000)
    phonon = spring_crystal(19)
    found = impose_sum_rules(phonon)
    assert found.phonon is phonon
    assert "take a smaller cell" in found.skipped
    assert found.rotational_before == found.rotational_after
    assert found.rotational_before == pytest.approx(violations(phonon)[0])
    assert found.huang_before == pytest.approx(violations(phonon)[1], abs=1e-8)


def test_charges_by_another_method_are_left_alone_and_said_so():
    phonon = spring_phonon(random_crystal(4, seed=3, max_atoms=9), seed=3, born=True)
    phonon.nac_params = {**phonon.nac_params, "method": "wang"}
    found = impose_sum_rules(phonon)
    assert found.phonon is phonon
    assert "Gonze" in found.skipped


@pytest.fixture(scope="module")
def quartz():
    """Alpha-quartz of 7net-0 in a supercell of 72 atoms, and its response to strain."""
    potential = load_potential("7net-0", dtype="float32")
    [material] = read_materials(QUARTZ, 1e-3)
    [relaxed] = relax([material.atoms], potential, RelaxationSettings())
    settings = PhononSettings(max_atoms=72)
    phonon = compute_force_constants(relaxed.atoms, potential, settings).phonon
    return phonon, measure_strain_responses([relaxed.atoms], potential)[0]


def test_false_instability_of_quartz_vanishes(quartz):
    phonon, response = quartz
    q = np.concatenate([near_gamma(scale) for scale in (0.001, 0.02, 0.1)])
    assert compute_commensurate_frequencies(phonon).min() > 1.0
    assert phonon.run_qpoints(q).frequencies.min() < -0.3
    for known in (None, response):
        found = impose_sum_rules(phonon, known).phonon
        assert found.run_qpoints(q).frequencies.min() > 0
        assert_commensurate_matrices_stay(phonon, found)


def test_sound_of_quartz_is_that_of_its_elastic_constants(quartz):
    phonon, response = quartz
    found = impose_sum_rules(phonon, response).phonon
    q = near_gamma(1e-3)
    k = q @ np.linalg.inv(phonon.primitive.cell).T
    density = phonon.primitive.masses.sum() / phonon.primitive.volume
    wanted = compute_sound_velocities(compute_elastic_constants(phonon, response), density, k)
    # THz Å are 0.1 km/s.
    now = 0.1 * found.run_qpoints(q).frequencies[:, :3] / np.linalg.norm(k, axis=1)[:, None]
    assert np.abs(now / wanted - 1).max() < 2e-3


def test_sound_of_a_squeezed_crystal_is_that_of_its_energy():
    """In a measured cell the potential leaves a stress, which sound feels."""
    potential = load_potential("7net-0", dtype="float32")
    atoms = bulk("Si", a=5.4)
    atoms.set_cell(atoms.cell.array * [0.97, 0.97, 1.05], scale_atoms=True)
    [material] = relax([standardize(atoms, 1e-3)], potential, RelaxationSettings(cell="fixed"))
    [response] = measure_strain_responses([material.atoms], potential)
    phonon = compute_force_constants(material.atoms, potential, PhononSettings(max_atoms=64)).phonon
    found, q = impose_sum_rules(phonon, response).phonon, near_gamma(1e-3)
    k = q @ np.linalg.inv(phonon.primitive.cell).T
    wave = compute_elastic_constants(
        phonon, replace(response, stiffness=response.gradient_stiffness)
    )
    density = phonon.primitive.masses.sum() / phonon.primitive.volume
    wanted = compute_sound_velocities(wave, density, k)
    now = 0.1 * found.run_qpoints(q).frequencies[:, :3] / np.linalg.norm(k, axis=1)[:, None]
    assert np.abs(now / wanted - 1).max() < 2e-3
    without = compute_sound_velocities(compute_elastic_constants(phonon, response), density, k)
    assert np.abs(without / wanted - 1).max() > 2e-2


def test_other_weights_give_another_crystal_that_obeys_the_rules_as_well(quartz):
    phonon, response = quartz
    rules = impose_sum_rules(phonon, response)
    other = rules.distribute(OTHER_WEIGHTS).phonon
    assert_commensurate_matrices_stay(phonon, other)
    q = near_gamma(1e-3)
    here, there = (p.run_qpoints(q).frequencies[:, :3] for p in (rules.phonon, other))
    assert np.abs(here / there - 1).max() < 2e-3
    far = np.random.default_rng(2).uniform(-0.5, 0.5, (20, 3))
    change = rules.phonon.run_qpoints(far).frequencies - other.run_qpoints(far).frequencies
    assert 1e-3 < np.abs(change).mean() < 0.5
    same = rules.distribute(WEIGHTS).phonon.force_constants
    np.testing.assert_array_equal(same, rules.phonon.force_constants)


def test_other_weights_leave_what_charges_add():
    phonon = spring_phonon(random_crystal(4, seed=3, max_atoms=6), seed=3, born=True)
    rules = impose_sum_rules(phonon)
    other = rules.distribute(OTHER_WEIGHTS)
    assert_commensurate_matrices_stay(phonon, other.phonon)
    assert np.array_equal(other.nac_params["born"], rules.phonon.nac_params["born"])
