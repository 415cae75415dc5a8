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

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cubic():
    return find_nodal_points(spring_crystal(198))


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


@pytest.fixture(scope="module")
def on_axis(phonon):
    return [node for node in find_nodal_points(phonon) if node.label == "axis 3_1"]


@pytest.mark.parametrize(("sign", "expected"), [(1, 1), (-1, -1)])
def test_a_node_of_spin_one_half_has_the_charge_of_its_sign(sign, expected):
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 17)[:-1], indexing="ij"
    )
    x, y, z = np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    vectors = np.linalg.eigh(sign * np.einsum("apq,amn->pqmn", np.stack([x, y, z]), pauli))[1]
    vectors[0], vectors[-1] = vectors[0, 0], vectors[-1, 0]
    flux, largest = sum_flux(vectors, [0])
    assert flux[0] == pytest.approx(expected, abs=1e-9)
    assert largest[0] < np.pi / 2


def test_triplets_of_a_cubic_crystal_at_gamma_are_spin_one_nodes(cubic):
    """Bands of charge 2, 0 and -2: both gaps have the same charge."""
    triplets = [node for node in cubic if node.label == "Γ" and node.last - node.first == 2]
    known = [node.charges for node in triplets if None not in node.charges]
    assert known
    assert all(lower == upper and abs(lower) == 2 for lower, upper in known)


def test_fourfold_nodes_at_r_have_charge_two(cubic):
    found = [node for node in cubic if node.label == "R"]
    assert {node.last - node.first for node in found} == {3}
    assert {abs(node.charge) for node in found if node.charge is not None} == {2}


def test_charges_turn_round_with_the_hand_and_are_the_same_at_the_opposite_wave_vector(
    phonon, on_axis
):
    node = next(node for node in on_axis if node.charge)
    mirror = compute_charges(make_mirror_image(phonon), node.q_point, [node.first])
    back = compute_charges(phonon, -np.array(node.q_point), [node.first])
    assert mirror == {node.first: -node.charge}
    assert back == {node.first: node.charge}


def test_crossings_on_an_axis_are_degenerate_and_charged_by_the_change_of_their_label(
    phonon, on_axis
):
    """On a three-fold axis labels differ by 1 (mod 3), and the charge is 1."""
    assert on_axis
    frequencies = compute_modes(phonon, [node.q_point for node in on_axis]).frequencies
    for node, row in zip(on_axis, frequencies, strict=True):
        assert abs(row[node.last] - row[node.first]) < 1e-4
        assert node.charge is None or abs(node.charge) == 1


def test_with_inversion_no_point_is_charged():
    """Γ-L of rocksalt is a nodal line of the transverse modes, and a general point has no node."""
    phonon = spring_phonon(rocksalt(), 1)
    assert set(compute_charges(phonon, (0.5, 0.5, 0.5)).values()) <= {None, 0}
    assert set(compute_charges(phonon, (0.1, 0.23, 0.37)).values()) == {0}


def test_iron_silicide_of_the_demo_has_the_nodes_of_its_space_group():
    """T. Zhang et al., Phys. Rev. Lett. 120, 016401 (2018): spin-1 at Gamma, charge 2 at R."""
    atoms = read(DEMO / "fesi.cif")
    settings = PhononSettings(min_supercell_length=6.0, max_enlargements=0)
    phonon = compute_force_constants(atoms, load_potential("nequix-mp-1-pft"), settings).phonon
    found = find_nodal_points(phonon)
    triplets = [node for node in found if node.label == "Γ" and node.last - node.first == 2]
    assert {abs(node.charge) for node in triplets} == {2}
    assert {abs(node.charge) for node in found if node.label == "R"} == {2}
