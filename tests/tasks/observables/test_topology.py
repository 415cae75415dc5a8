"""Charges of nodal points are integers that symmetry enforces, and turn round with the hand."""

import numpy as np
import pytest
from ase.io import read

from potentials import load_potential
from tasks.chirality.modes import compute_modes
from tasks.observables.topology import compute_charges, find_nodal_points, sum_flux
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.phonons.mirror import make_mirror_image
from tests.crystals import quartz, rocksalt, spring_crystal, spring_phonon
from tests.flows.conftest import DEMO


@pytest.fixture(scope="module")
def cubic():
    return spring_crystal(198)


def nodes_at(phonon, label):
    return [node for node in find_nodal_points(phonon) if node.label == label]


@pytest.mark.parametrize(("sign", "expected"), [(1, 1), (-1, -1)])
def test_a_node_of_spin_one_half_has_the_charge_of_its_sign(sign, expected):
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 17)[:-1], indexing="ij"
    )
    x, y, z = np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    vectors = np.linalg.eigh(sign * np.einsum("apq,amn->pqmn", np.stack([x, y, z]), pauli))[1]
    vectors[0], vectors[-1] = vectors[0, 0], vectors[-1, 0]
    flux, largest = sum_flux(vectors)
    assert flux[0] == pytest.approx(expected, abs=1e-9)
    assert largest[0] < np.pi / 2


def test_triplets_of_a_cubic_crystal_at_gamma_are_spin_one_nodes(cubic):
    """Three-fold: bands of charge 2, 0, -2; two-fold: 4 and -4."""
    found = nodes_at(cubic, "Γ")
    triplets = [node for node in found if node.last - node.first == 2]
    doublets = [node for node in found if node.last - node.first == 1]
    assert triplets
    assert {tuple(map(abs, node.charges)) for node in triplets} == {(2, 2)}
    assert all(node.charges[0] == node.charges[1] for node in triplets)
    assert {abs(node.charge) for node in doublets} <= {4}


def test_fourfold_nodes_at_r_have_charge_two(cubic):
    found = nodes_at(cubic, "R")
    assert {node.last - node.first for node in found} == {3}
    assert {abs(node.charge) for node in found} == {2}


def test_charges_turn_round_with_the_hand_and_are_the_same_at_the_opposite_wave_vector():
    phonon = spring_phonon(quartz(), 3)
    q = np.array([0, 0, 0.5])
    frequencies = compute_modes(phonon, q).frequencies[0]
    assert (np.diff(frequencies) < 1e-3).any()
    one, other = (compute_charges(each, q) for each in (phonon, make_mirror_image(phonon)))
    known = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    assert any(a for a, _ in known)
    assert all(a == -b for a, b in known)
    generic = [node for node in find_nodal_points(phonon) if node.label.startswith("axis")]
    node = next(node for node in generic if node.charge)
    back = compute_charges(phonon, -np.array(node.q_point))
    assert back[node.first] == node.charge


def test_crossings_on_an_axis_are_degenerate_and_charged_by_the_change_of_their_label():
    """On a three-fold axis labels differ by 1 (mod 3), and the charge is 1."""
    found = [n for n in find_nodal_points(spring_phonon(quartz(), 3)) if n.label == "axis 3_1"]
    assert found
    for node in found:
        frequencies = compute_modes(spring_phonon(quartz(), 3), node.q_point).frequencies[0]
        assert abs(frequencies[node.last] - frequencies[node.first]) < 1e-4
        assert node.charge is None or abs(node.charge) == 1


def test_with_inversion_no_point_is_charged():
    for node in find_nodal_points(spring_phonon(rocksalt(), 1)):
        assert node.charge in {None, 0}


@pytest.mark.slow
def test_iron_silicide_of_the_demo_has_the_nodes_of_its_space_group():
    """T. Zhang et al., Phys. Rev. Lett. 120, 016401 (2018): spin-1 at Gamma, charge 2 at R."""
    atoms = read(DEMO / "fesi.cif")
    settings = PhononSettings(min_supercell_length=6.0, max_enlargements=0)
    phonon = compute_force_constants(atoms, load_potential("nequix-mp-1-pft"), settings).phonon
    triplets = [node for node in nodes_at(phonon, "Γ") if node.last - node.first == 2]
    assert triplets
    assert {abs(node.charge) for node in triplets} == {2}
    assert {abs(node.charge) for node in nodes_at(phonon, "R")} == {2}
