"""Mechanical representation: against phonopy's dynamical matrices, spgrep, and random ones."""

from collections import Counter

import numpy as np
import pytest
from spgrep import get_spacegroup_irreps_from_primitive_symmetry

from tasks.symmetry import (
    find_allowed_angular_momentum,
    find_crystal_symmetry,
    find_isotypic_components,
    list_crystal_selection_rules,
)
from tasks.symmetry.mechanical import (
    build_mechanical_representation,
    make_angular_momentum_operators,
)
from tasks.symmetry.selection import find_little_group
from tests.crystals import (
    honeycomb,
    random_crystal,
    rocksalt,
    sampled_groups,
    spring_crystal,
    tellurium,
)

GROUPS = [n for n in sampled_groups() if len(random_crystal(n)) <= 12]


def dynamical_matrix(phonon, q_point):
    result = phonon.run_qpoints([q_point], with_dynamical_matrices=True)
    return np.asarray(result.dynamical_matrices[0])


def special_q_points(crystal):
    return [rule.wave_vectors.sample() for rule in list_crystal_selection_rules(crystal)]


@pytest.mark.parametrize("number", GROUPS)
def test_dynamical_matrices_of_phonopy_commute_with_it(number):
    """Fixes the phases: T D T^+ = D, and T D* T^+ = D where time reversal is joined."""
    phonon = spring_crystal(number)
    crystal = find_crystal_symmetry(random_crystal(number))
    for q_point in special_q_points(crystal):
        representation = build_mechanical_representation(crystal, q_point)
        D = dynamical_matrix(phonon, q_point)
        for matrices, d in ((representation.unitary, D), (representation.antiunitary, D.conj())):
            images = matrices @ d @ matrices.conj().transpose(0, 2, 1)
            expected = np.broadcast_to(D, images.shape)
            np.testing.assert_allclose(images, expected, atol=1e-6 * np.abs(D).max())


@pytest.mark.parametrize("number", GROUPS)
def test_matrices_are_unitary_and_the_projection_is_one(number):
    crystal = find_crystal_symmetry(random_crystal(number))
    rng = np.random.default_rng(number)
    for q_point in special_q_points(crystal)[::3]:
        representation = build_mechanical_representation(crystal, q_point)
        size = 3 * len(crystal.positions)
        for T in (*representation.unitary, *representation.antiunitary):
            np.testing.assert_allclose(T @ T.conj().T, np.eye(size), atol=1e-12)
        once = representation.project(rng.normal(size=(size, size)) + 0j)
        np.testing.assert_allclose(representation.project(once), once, atol=1e-5)


@pytest.mark.parametrize("number", GROUPS)
def test_projected_angular_momentum_is_that_of_the_allowed_directions(number):
    """Pi(M_n) = M_m with m the projection of n: the theorem behind `realised`."""
    crystal = find_crystal_symmetry(random_crystal(number))
    n_atoms = len(crystal.positions)
    operators = make_angular_momentum_operators(np.eye(3), n_atoms)
    for q_point in special_q_points(crystal):
        basis = find_allowed_angular_momentum(crystal.operations, q_point)
        expected = make_angular_momentum_operators(basis.T @ basis, n_atoms)
        representation = build_mechanical_representation(crystal, q_point)
        projected = [representation.project(operator) for operator in operators]
        np.testing.assert_allclose(projected, expected, atol=1e-9)


@pytest.mark.parametrize("number", GROUPS)
def test_some_modes_carry_what_is_allowed_and_none_what_is_not(number):
    """Components exhaust the 3n modes; one carries l exactly where a direction is allowed."""
    crystal = find_crystal_symmetry(random_crystal(number))
    for q_point in special_q_points(crystal):
        components = find_isotypic_components(crystal, q_point)
        n_modes = sum(c.dimension * c.multiplicity for c in components)
        assert n_modes == 3 * len(crystal.positions)
        allowed = len(find_allowed_angular_momentum(crystal.operations, q_point)) > 0
        assert any(c.carries_angular_momentum for c in components) == allowed


@pytest.mark.parametrize("number", GROUPS)
def test_multiplicities_agree_with_characters_from_spgrep(number):
    """Where no operation carries q to -q the irreducible representations need no time reversal."""
    crystal = find_crystal_symmetry(random_crystal(number))
    operations = crystal.operations
    for q_point in special_q_points(crystal):
        group = find_little_group(operations, q_point)
        if len(group.antiunitary):
            continue
        irreps, mapping = get_spacegroup_irreps_from_primitive_symmetry(
            operations.rotations, operations.translations, q_point
        )
        np.testing.assert_array_equal(mapping, group.unitary)
        T = build_mechanical_representation(crystal, q_point).unitary
        characters = np.trace(T, axis1=1, axis2=2)
        expected = Counter()
        for irrep in irreps:
            own = np.trace(irrep, axis1=1, axis2=2)
            multiplicity = round(abs(np.vdot(own, characters)) / len(T))
            if multiplicity:
                expected[irrep.shape[1], multiplicity] += 1
        found = Counter(
            (c.dimension, c.multiplicity) for c in find_isotypic_components(crystal, q_point)
        )
        assert found == expected


@pytest.mark.parametrize("number", GROUPS[::2])
def test_random_invariant_matrices_stay_within_the_bounds(number):
    """No symmetric dynamical matrix gives a mode more l than the widest bounds allow."""
    crystal = find_crystal_symmetry(random_crystal(number))
    rng = np.random.default_rng(3)
    for q_point in special_q_points(crystal):
        directions = find_allowed_angular_momentum(crystal.operations, q_point)
        if not len(directions):
            continue
        components = find_isotypic_components(crystal, q_point)
        bounds = np.array([c.angular_momentum_bounds for c in components])
        totals = random_totals(crystal, q_point, directions, rng)
        assert (totals >= bounds[..., 0].min(axis=0) - 1e-6).all()
        assert (totals <= bounds[..., 1].max(axis=0) + 1e-6).all()


def random_totals(crystal, q_point, directions, rng):
    """Angular momentum of the degenerate sets of a random invariant matrix, (n_sets, k)."""
    size = 3 * len(crystal.positions)
    X = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    D = build_mechanical_representation(crystal, q_point).project(X + X.conj().T)
    values, e = np.linalg.eigh(D)
    operators = make_angular_momentum_operators(directions, len(crystal.positions))
    angular_momenta = np.einsum("an,kab,bn->nk", e.conj(), operators, e).real
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf) > 1e-7)
    return np.add.reduceat(angular_momenta, starts, axis=0)


def test_honeycomb_corner_has_modes_of_fixed_angular_momentum():
    """At K one mode has l_z = +1 and one -1 whatever the forces: one sublattice is at rest."""
    components = find_isotypic_components(find_crystal_symmetry(honeycomb()), (1 / 3, 1 / 3, 0))
    bounds = sorted(np.round(c.angular_momentum_bounds[0], 9).tolist() for c in components)
    singles = [c for c in components if c.multiplicity == 1 and c.carries_angular_momentum]
    fixed = sorted(round(c.angular_momentum_bounds[0][0], 9) for c in singles)
    assert fixed == [-1, 1]
    assert all(
        low == pytest.approx(high)
        for ((low, high),) in (c.angular_momentum_bounds for c in singles)
    )
    assert bounds[0] == [-1, -1] or bounds[0] == [-1, 1]


def test_axis_of_tellurium():
    """On Gamma-A the three screw labels have three copies each, one label without fixed l."""
    components = find_isotypic_components(find_crystal_symmetry(tellurium()), (0, 0, 0.2))
    assert Counter((c.dimension, c.multiplicity) for c in components) == {(1, 3): 3}
    assert all(c.carries_angular_momentum for c in components)


def test_rocksalt_carries_nothing_anywhere():
    crystal = find_crystal_symmetry(rocksalt())
    for q_point in special_q_points(crystal):
        components = find_isotypic_components(crystal, q_point)
        assert not any(c.carries_angular_momentum for c in components)
        assert all(c.angular_momentum_bounds == () for c in components)


def test_gamma_of_rocksalt_is_two_triplets():
    """Acoustic and optical T1u."""
    (component,) = find_isotypic_components(find_crystal_symmetry(rocksalt()), (0, 0, 0))
    assert (component.dimension, component.multiplicity) == (3, 2)


def test_angular_momentum_operator_is_counter_clockwise_positive():
    """(1, i, 0)/sqrt(2) turns counter-clockwise about z and has l_z = +1."""
    (operator,) = make_angular_momentum_operators([[0, 0, 1]], 1)
    e = np.array([1, 1j, 0]) / np.sqrt(2)
    assert np.vdot(e, operator @ e).real == pytest.approx(1.0)
