"""Force constants by second derivatives: the limit of vanishing displacements, for less."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from potentials import DifferentiablePotential, Equivariance, Potential, invert, load_potential
from potentials.averages import INVERSION, GroupAverage
from tasks.crystals.structures import standardize
from tasks.failures import RemediableError
from tasks.phonons import (
    ForceConstants,
    PhononSettings,
    compute_all_force_constants,
    compute_force_constants,
)
from tasks.screening.planning import require_computable
from tasks.screening.settings import read_settings
from tests.crystals import random_crystal
from tests.flows.conftest import DEMO
from tests.potentials.facet.structures import untrained
from tests.tasks.alloys import emt

pytestmark = pytest.mark.slow

SMALL = PhononSettings(min_supercell_length=6.0, max_atoms=48, max_enlargements=0)
Q_POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, size=(20, 3))


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("facet-aln")


def aluminium_nitride():
    return standardize(read(DEMO / "aln.cif"), 1e-3)


def by(method: str, settings: PhononSettings = SMALL, **changes: float) -> PhononSettings:
    return settings.model_copy(update={"method": method, **changes})


def test_frequencies_are_those_of_finite_displacements(potential):
    """Of a trained model, at any q-point, to 1e-3 THz; displacements of 0.01 Å are off by four."""
    found = [
        compute_force_constants(aluminium_nitride(), potential, by(method, displacement=0.003))
        for method in ("displacements", "hessian")
    ]
    one, two = (f.phonon.run_qpoints(Q_POINTS).frequencies for f in found)
    assert np.abs(one - two).max() < 1e-3
    assert 20 < two.max() < 30
    assert [f.n_evaluations for f in found] == [4, 0]


def known(number: int):
    """Random crystal of a space group, of elements that the untrained model knows."""
    atoms = random_crystal(number, seed=1)
    species = np.unique(atoms.numbers, return_inverse=True)[1]
    atoms.numbers = np.array([14, 16, 30, 52, 6])[species % 5]
    return atoms


@pytest.mark.parametrize("number", [4, 31, 82, 152])
def test_displacements_approach_second_derivatives_with_their_square(number):
    """The rest of a central difference is of second order: halved lengths leave a quarter."""
    atoms, model = known(number), untrained()
    settings = PhononSettings(min_supercell_length=3.0, max_atoms=len(atoms), max_enlargements=0)
    exact = compute_force_constants(atoms, model, by("hessian", settings)).phonon.force_constants
    rests = []
    for length in (0.01, 0.005):
        found = compute_force_constants(
            atoms, model, by("displacements", settings, displacement=length)
        )
        rests.append(np.linalg.norm(found.phonon.force_constants - exact))
    assert rests[0] / rests[1] == pytest.approx(4, rel=0.05)
    assert rests[1] < 1e-2 * np.linalg.norm(exact)


def test_sum_rule_and_permutation_are_exact(potential):
    found = compute_force_constants(aluminium_nitride(), potential, by("hessian"))
    constants = found.phonon.force_constants
    assert np.abs(constants.sum(axis=1)).max() < 1e-10
    first = found.phonon.primitive.p2s_map
    onsite = constants[np.arange(len(first)), first]
    assert np.allclose(onsite, onsite.transpose(0, 2, 1), atol=1e-12)
    # Second derivatives obey all rules by themselves; only rounding is symmetrised away.
    assert found.symmetrisation < 1e-6
    assert found.sum_rule_residual < 1e-6


def test_length_of_displacements_does_not_matter(potential):
    """Nothing is displaced."""
    one, two = (
        compute_force_constants(aluminium_nitride(), potential, by("hessian", displacement=length))
        for length in (0.01, 0.5)
    )
    assert np.allclose(one.phonon.force_constants, two.phonon.force_constants, atol=1e-9)


def test_enlarged_supercells_have_second_derivatives_too(potential):
    settings = by("hessian", max_boundary_shift=1e-9, max_enlargements=1, max_atoms=72)
    settings = settings.model_copy(update={"min_supercell_length": 4.0})
    found = compute_force_constants(aluminium_nitride(), potential, settings)
    assert (found.n_enlargements, found.n_evaluations) == (1, 0)
    assert found.potential_time > 0


def test_an_error_stays_with_its_crystal(potential):
    known_one, unknown = compute_all_force_constants(
        [aluminium_nitride(), bulk("Si")], potential, by("hessian")
    )
    assert isinstance(known_one, ForceConstants)
    assert isinstance(unknown, ValueError)


@pytest.mark.parametrize("make", [emt, lambda: GroupAverage(untrained(), INVERSION)])
def test_potentials_without_second_derivatives_are_refused(make):
    """An average over the inversion is one: the potential inside it lacks the mirrors."""
    with pytest.raises(RemediableError, match="no second derivatives") as caught:
        compute_force_constants(bulk("Cu"), make(), by("hessian"))
    assert "phonons.method: displacements" in caught.value.remedy


def test_refusal_comes_before_anything_is_computed(potential):
    settings = read_settings(None, {"phonons.method": "hessian"})
    atoms = aluminium_nitride()
    require_computable(atoms, potential.card, settings)
    without = replace(potential.card, second_derivatives=False)
    with pytest.raises(RemediableError, match="no second derivatives"):
        require_computable(atoms, without, settings)


def test_the_default_is_not_told_so_that_older_results_remain_valid():
    """Keys of results are made of what settings tell."""
    assert "method" not in PhononSettings().model_dump(mode="json")
    assert "method" not in PhononSettings(method="displacements").model_dump(mode="json")
    told = by("hessian").model_dump(mode="json")
    assert PhononSettings.model_validate(told) == by("hessian")


def test_cards_tell_who_offers_second_derivatives(potential):
    assert potential.card.second_derivatives
    assert isinstance(potential, DifferentiablePotential)
    assert not emt().card.second_derivatives
    assert not isinstance(emt(), DifferentiablePotential)


def test_second_derivatives_are_those_of_the_mirror_image(potential):
    """Products with opposite displacements of the inverted crystal have the opposite sign."""
    assert potential.card.equivariance is Equivariance.O3
    atoms = aluminium_nitride()
    atoms.rattle(0.05, seed=0)
    directions = np.random.default_rng(0).normal(size=(2, len(atoms), 3))
    here = potential.hessian_products(atoms, directions)
    there = potential.hessian_products(invert(atoms), -directions)
    assert np.allclose(here, -there, atol=1e-9)
