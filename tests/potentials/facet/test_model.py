"""Energies have the symmetries of space exactly; derivatives are derivatives of the energy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell

from potentials import invert
from potentials.facet import Facet, FacetConfig, build_graph, compute_derivatives
from potentials.facet.model import compute_energies
from tests.potentials.crystals import rattled, trigonal_tellurium
from tests.potentials.facet.structures import (
    MIRROR,
    ROTATION,
    SMALL,
    crystals,
    dimer,
    hessian_columns,
    transformed,
    untrained,
    variant,
)

pytestmark = pytest.mark.slow

DEFAULT = FacetConfig()
EXACT = {
    "default": DEFAULT,
    "gaunt": variant(product="gaunt"),
    "gate": variant(update="gate"),
    "bessel": variant(radial="bessel"),
    "mlp": variant(radial="mlp"),
    "vectors sent, degree 3": variant(l_max=3, l_hidden=1),
    "three layers": variant(layers=3),
    "one layer": variant(layers=1),
}


@pytest.fixture(params=EXACT.values(), ids=EXACT.keys())
def potential(request):
    return untrained(request.param)


@pytest.mark.parametrize("operation", [ROTATION, MIRROR, -ROTATION], ids=["turn", "mirror", "both"])
@pytest.mark.parametrize("atoms", crystals(), ids=str)
def test_isometries_keep_energies_and_carry_forces_and_stresses(potential, atoms, operation):
    found = potential.evaluate([atoms, transformed(atoms, operation)])
    assert found.energies[0] == pytest.approx(found.energies[1], abs=1e-10)
    assert np.allclose(found.forces[0] @ operation.T, found.forces[1], atol=1e-9)
    stress = operation @ found.stresses[0] @ operation.T
    assert np.allclose(stress, found.stresses[1], atol=1e-10)


def test_enantiomorphs_have_equal_energies(potential):
    """P3_121 and P3_221 tellurium: no rotation carries one to the other."""
    left = rattled(trigonal_tellurium())
    energies = potential.evaluate([left, invert(left)]).energies
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)


def test_handedness_is_seen_where_it_is_physical(potential):
    """The energy is not just blind to positions: a changed dihedral changes it."""
    atoms = trigonal_tellurium()
    other = atoms.copy()
    other.positions[0, 1] += 0.05
    energies = potential.evaluate([atoms, other]).energies
    assert abs(energies[0] - energies[1]) > 1e-6


def test_translations_keep_energies(potential):
    atoms = crystals()[1]
    shifted = atoms.copy()
    shifted.positions += [0.37, -5.1, 2.2]
    found = potential.evaluate([atoms, shifted])
    assert found.energies[0] == pytest.approx(found.energies[1], abs=1e-10)
    assert np.allclose(found.forces[0].sum(0), 0, atol=1e-12)


def test_order_of_atoms_does_not_matter(potential):
    atoms = rattled(bulk("ZnS", "zincblende", a=5.4, cubic=True))
    order = np.random.default_rng(0).permutation(len(atoms))
    found = potential.evaluate([atoms, atoms[order]])
    assert found.energies[0] == pytest.approx(found.energies[1], abs=1e-10)
    assert np.allclose(found.forces[0][order], found.forces[1], atol=1e-10)


def test_supercells_have_multiples_of_the_energy(potential):
    atoms = crystals()[0]
    large = make_supercell(atoms, [[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    found = potential.evaluate([atoms, large])
    ratio = len(large) / len(atoms)
    assert found.energies[1] == pytest.approx(ratio * found.energies[0], abs=1e-10)
    assert np.allclose(found.stresses[0], found.stresses[1], atol=1e-12)


def test_batch_equals_single(potential):
    together = potential.evaluate(crystals()).split()
    for atoms, found in zip(crystals(), together, strict=True):
        alone = potential.evaluate([atoms])
        assert found.energies == pytest.approx(alone.energies, abs=1e-12)
        assert np.allclose(found.forces[0], alone.forces[0], atol=1e-12)
        assert np.allclose(found.stresses, alone.stresses, atol=1e-12)


def test_forces_are_minus_the_gradient_of_the_energy(potential):
    atoms = crystals()[2]
    forces = potential.evaluate([atoms]).forces[0]
    step = 1e-4
    for index in (0, 4, 5):
        plus, minus = potential.evaluate([moved(atoms, index, s) for s in (step, -step)]).energies
        assert -(plus - minus) / (2 * step) == pytest.approx(forces.flat[index], abs=1e-6)


def moved(atoms: Atoms, index: int, step: float) -> Atoms:
    """Crystal with one coordinate changed."""
    result = atoms.copy()
    result.positions[divmod(index, 3)] += step
    return result


def test_stress_is_the_strain_derivative_of_the_energy_per_volume(potential):
    atoms = crystals()[2]
    stress = potential.evaluate([atoms]).stresses[0]
    direction = np.array([[0.3, 0.1, 0.0], [0.1, -0.2, 0.4], [0.0, 0.4, 0.5]])
    step = 1e-5
    plus, minus = potential.evaluate(
        [strained(atoms, s * direction) for s in (step, -step)]
    ).energies
    slope = (plus - minus) / (2 * step * atoms.get_volume())
    assert slope == pytest.approx(np.sum(stress * direction), abs=1e-7)
    assert np.array_equal(stress, stress.T)


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """Crystal under a symmetric strain."""
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return result


def test_hessian_columns_are_differences_of_forces(potential):
    atoms = crystals()[2]
    columns = hessian_columns(potential, atoms, [0, 4])
    step = 1e-4
    for column, index in zip(columns, (0, 4), strict=True):
        plus, minus = potential.evaluate([moved(atoms, index, s) for s in (step, -step)]).forces
        assert np.allclose(-(plus - minus) / (2 * step), column, atol=2e-5)


def test_hessian_is_symmetric_and_blind_to_translations():
    atoms = crystals()[1]
    columns = hessian_columns(untrained(DEFAULT), atoms, [*range(3 * len(atoms))])
    matrix = columns.reshape(len(columns), -1)
    assert np.allclose(matrix, matrix.T, atol=1e-11)
    assert np.allclose(columns.sum(1), 0, atol=1e-11)


def test_energy_force_and_stiffness_go_to_zero_at_the_cutoff(potential):
    """They vanish with the distance to the cutoff at least as its powers 4, 3 and 2."""
    cutoff = potential.model.config.cutoff
    outside = potential.evaluate([dimer(cutoff + 1e-9)]).energies[0]
    near, far = (cutoff - gap for gap in (0.01, 0.02))
    energies = potential.evaluate([dimer(near), dimer(far)])
    stiffness = [hessian_columns(potential, dimer(d), [5])[0, 1, 2] for d in (near, far)]
    forces = [force[1, 2] for force in energies.forces]
    for values, power in (
        (energies.energies - outside, 4),
        (np.array(forces), 3),
        (np.array(stiffness), 2),
    ):
        assert values[1] / values[0] > 0.8 * 2**power


def test_isolated_atom_feels_nothing(potential):
    alone = Atoms("Si", cell=[20, 20, 20], pbc=True)
    found = potential.evaluate([alone, bulk("Si")])
    assert np.isfinite(found.energies).all()
    assert np.array_equal(found.forces[0], np.zeros((1, 3)))
    assert np.array_equal(found.stresses[0], np.zeros((3, 3)))
    assert found.energies[0] == pytest.approx(potential.evaluate([alone]).energies[0], abs=1e-13)


def test_default_configuration_is_exact_and_approximations_say_so():
    assert all(config.is_exact for config in EXACT.values())
    inexact = [{"product": "cp"}, {"update": "grid_mlp"}, {"grid_degree": 7}]
    assert not any(variant(**changes).is_exact for changes in inexact)


@pytest.mark.parametrize(
    "changes", [{"product": "cp", "rank": 12}, {"update": "grid_mlp"}, {"grid_degree": 4}], ids=str
)
def test_approximate_kernels_break_rotations(changes):
    """If this fails, they have become exact, and may call themselves so."""
    atoms = crystals()[1]
    potential = untrained(variant(**changes))
    energies = potential.evaluate([atoms, transformed(atoms, ROTATION)]).energies
    assert abs(energies[0] - energies[1]) > 1e-8


@pytest.mark.parametrize("product", ["cg", "gaunt", "cp"])
@pytest.mark.parametrize("update", ["grid_product", "grid_mlp", "gate"])
def test_forces_train_every_parameter(product, update):
    """Differentiating forces by weights works through all kernels."""
    model = Facet(variant(product=product, update=update, radial="mlp", rank=6))
    graph = build_graph(crystals(), SMALL, torch.device("cpu"), torch.float64)
    energies, forces, stresses = compute_derivatives(model, graph, create_graph=True)
    (energies.square().sum() + forces.square().sum() + stresses.square().sum()).backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert not idle


def test_a_few_steps_of_training_lower_the_error_of_forces():
    torch.manual_seed(0)
    model = Facet(SMALL)
    graph = build_graph([crystals()[1]], SMALL, torch.device("cpu"), torch.float64)
    target = torch.randn(3, 3, dtype=torch.float64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = (compute_derivatives(model, graph, create_graph=True)[1] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_new_models_have_energies_of_the_energy_scale():
    atoms = crystals()[1]
    energies = [
        untrained(DEFAULT, seed).evaluate([atoms]).energies[0] / len(atoms) for seed in range(8)
    ]
    assert 0.3 < np.std(energies) < 5
    doubled = untrained(replace(DEFAULT, energy_scale=2.0), 3).evaluate([atoms]).energies[0]
    assert doubled / len(atoms) == pytest.approx(2 * energies[3], abs=1e-10)


def test_reference_energies_are_added_by_species():
    potential = untrained(variant(energy_scale=1.5))
    atoms = crystals()[2]
    before = potential.evaluate([atoms])
    potential.model.reference_energies[:] = torch.arange(5)
    after = potential.evaluate([atoms])
    assert after.energies[0] - before.energies[0] == pytest.approx(2 + 3, abs=1e-12)
    assert np.array_equal(after.forces[0], before.forces[0])


def test_energies_can_be_exported():
    """The network is one graph of tensor operations, for any number of atoms and neighbours."""
    model = untrained().model
    small, large = (
        build_graph([atoms], SMALL, torch.device("cpu"), torch.float64) for atoms in crystals()[:2]
    )
    n_atoms, n_neighbours = torch.export.Dim("n_atoms"), torch.export.Dim("n_neighbours")
    exported = torch.export.export(
        model,
        (large.vectors, large.neighbours, large.species),
        dynamic_shapes=({0: n_atoms, 1: n_neighbours},) * 2 + ({0: n_atoms},),
    )
    found = compute_energies(exported.module(), small)
    assert torch.allclose(found, compute_energies(model, small), rtol=1e-12)
