"""The error that the boundary of a supercell makes is estimated from its force constants."""

import numpy as np
import pytest
from ase.build import bulk

from tasks.phonons import ForceConstants, PhononSettings, compute_force_constants, make_phonopy
from tasks.phonons.convergence import _displace_boundary, estimate_truncation_error
from tests.tasks.alloys import emt


def of_length(length: float) -> PhononSettings:
    return PhononSettings(min_supercell_length=length, max_enlargements=0)


def copper(length: float) -> ForceConstants:
    return compute_force_constants(bulk("Cu", a=3.6), emt(), of_length(length))


@pytest.fixture(scope="module")
def large() -> ForceConstants:
    return copper(10.0)


@pytest.fixture(scope="module")
def small() -> ForceConstants:
    return copper(5.0)


def test_force_constants_are_left_alone(large):
    before = large.phonon.force_constants.copy()
    assert estimate_truncation_error(large.phonon) == large.boundary_shift
    assert np.array_equal(large.phonon.force_constants, before)


def test_shift_decays_with_size(large, small):
    """Force constants of EMT reach 8 Å: the boundary of 5 Å cuts them, that of 10 Å hardly."""
    assert large.boundary_shift < 0.2 * small.boundary_shift
    assert large.boundary_shift < 0.01


def test_shift_is_about_the_true_error():
    """Within a factor of three, from a few per cent to a few thousandths."""
    mesh = np.stack(np.meshgrid(*[np.arange(6) / 6] * 3), axis=-1).reshape(-1, 3)
    atoms = bulk("CuAu", "zincblende", a=5.74)
    *small, large = (
        compute_force_constants(atoms, emt(), of_length(x)) for x in (5.0, 6.0, 9.0, 13.0)
    )
    right = large.phonon.run_qpoints(mesh).frequencies
    for one in small:
        difference = one.phonon.run_qpoints(mesh).frequencies - right
        error = np.sqrt((difference**2).mean()) / right.max()
        assert error / 3 < one.boundary_shift < 3 * error


def test_zone_centre_keeps_its_frequencies(small):
    """Where positions do not enter the dynamical matrix, losing them changes nothing."""
    spread = make_phonopy(small.phonon.unitcell, small.phonon.supercell_matrix)
    spread.force_constants = _displace_boundary(small.phonon)
    both = (spread, small.phonon)
    assert np.allclose(*[p.run_qpoints([[0, 0, 0]]).frequencies for p in both], atol=1e-6)
    assert not np.allclose(spread.force_constants, small.phonon.force_constants, atol=1e-3)
    assert np.allclose(spread.force_constants.sum(axis=1), 0.0, atol=1e-9)
