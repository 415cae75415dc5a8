"""A model in a file is the model, and answers as every potential does."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from potentials import Equivariance, Potential, load_potential
from potentials.facet import Facet, FacetConfig, load_facet, read_facet, save_facet
from tests.potentials.crystals import rattled
from tests.potentials.facet.structures import (
    ROTATION,
    SMALL,
    crystals,
    transformed,
    untrained,
    variant,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path):
    result = tmp_path / "trial.pt"
    metadata = {"name": "facet-trial", "milliseconds_per_atom": 0.8, "training": {"epochs": 3}}
    save_facet(result, untrained().model, metadata)
    return result


def test_card_tells_identity(path):
    card = load_facet(path, "cpu", "float64").card
    assert card.name == "facet-trial"
    assert card.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.equivariance is Equivariance.O3
    assert card.elements == set(SMALL.elements)
    assert card.milliseconds_per_atom == 0.8


def test_file_holds_the_model_and_its_story(path):
    model, metadata = read_facet(path)
    assert model.config == SMALL
    assert metadata["training"] == {"epochs": 3}
    loaded = load_facet(path, "cpu", "float64", compiled=False).evaluate(crystals())
    assert np.array_equal(loaded.energies, untrained().evaluate(crystals()).energies)


def test_loaded_model_is_a_potential(path):
    potential: Potential = load_facet(path, "cpu", "float64")
    found = potential.evaluate(crystals())
    assert [force.shape for force in found.forces] == [(2, 3), (3, 3), (2, 3)]
    assert found.stresses.shape == (3, 3, 3)
    assert found.wall_time > 0


def test_weights_saved_in_float32_give_an_exactly_equivariant_float64_model(tmp_path):
    """Constants are made anew, so that saving does not round them."""
    path = tmp_path / "single.pt"
    save_facet(path, Facet(SMALL).float(), {})
    atoms = crystals()[1]
    pair = load_facet(path, "cpu", "float64").evaluate([atoms, transformed(atoms, ROTATION)])
    assert pair.energies[0] == pytest.approx(pair.energies[1], abs=1e-10)


@pytest.mark.parametrize("product", ["gaunt", "cp"])
def test_decomposed_products_survive_a_file(tmp_path, product):
    config = variant(product=product, rank=6)
    save_facet(tmp_path / "m.pt", untrained(config).model, {})
    loaded = load_facet(tmp_path / "m.pt", "cpu", "float64")
    assert np.array_equal(
        loaded.evaluate(crystals()).energies, untrained(config).evaluate(crystals()).energies
    )


def test_resolution_of_the_grid_is_no_part_of_the_weights():
    """A model may be run on a finer grid; an exact one gives the same energies there."""
    model = Facet(replace(SMALL, grid_degree=20))
    model.load_state_dict(untrained().model.state_dict())
    potential = replace(untrained(), model=model.requires_grad_(requires_grad=False))
    expected = untrained().evaluate(crystals()).energies
    assert np.allclose(potential.evaluate(crystals()).energies, expected, atol=1e-11)


def test_approximate_models_do_not_claim_mirror_symmetry(tmp_path):
    save_facet(tmp_path / "m.pt", Facet(variant(product="cp", rank=6)), {})
    assert load_facet(tmp_path / "m.pt", "cpu", "float64").card.equivariance is Equivariance.SO3


def test_float32_agrees_with_float64(path):
    double, single = (
        load_facet(path, "cpu", d).evaluate(crystals()) for d in ("float64", "float32")
    )
    for one, two in zip(double.forces, single.forces, strict=True):
        assert 0 < np.abs(one - two).max() < 1e-4
    assert np.allclose(double.energies, single.energies, atol=1e-4)


def test_packing_does_not_change_results(path):
    """More atoms than a batch holds."""
    potential = load_facet(path, "cpu", "float64")
    many = crystals() * 25
    together = potential.evaluate(many)
    alone = potential.evaluate(crystals())
    assert np.allclose(together.energies, np.tile(alone.energies, 25), atol=1e-12)


def test_names_and_files_that_do_not_exist_are_told(tmp_path):
    with pytest.raises(ValueError, match="unknown potential 'facet-none'"):
        load_potential("facet-none")
    with pytest.raises(ValueError, match="there is no such file"):
        load_potential(f"facet:{tmp_path / 'none.pt'}")
    torch.save({"weights": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="is no facet-1 file"):
        read_facet(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"product": "fft"}, "unknown kernel 'fft'"),
        ({"update": "mlp"}, "unknown kernel 'mlp'"),
        ({"radial": "gauss"}, "unknown kernel 'gauss'"),
        ({"channels": 0}, "channels is 0"),
        ({"cutoff": -1.0}, "cutoff is -1.0"),
        ({"l_hidden": 3}, "l_hidden is 3"),
        ({"elements": (6, 6)}, "repeated"),
    ],
)
def test_impossible_configurations_are_told(changes, word):
    with pytest.raises(ValueError, match=word):
        variant(**changes)


def test_default_elements_are_89():
    elements = FacetConfig().elements
    assert len(elements) == 89
    assert max(elements) == 94
    assert 84 not in elements


@pytest.mark.parametrize("name", ["facet-tetrahedra", "facet-aln"])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2e-6), ("float64", 2e-8)])
def test_the_compiled_kernel_gives_the_numbers_of_torch(name, dtype, bound):
    crystals = [bulk("AlN", "wurtzite", a=3.11, c=4.98), bulk("AlN", "zincblende", a=4.4)]
    crystals = [rattled(atoms.repeat(2), 0.05) for atoms in crystals]
    compiled = load_potential(name, dtype=dtype)
    exact = load_potential(name, dtype="float64", compiled=False)
    assert (compiled.card.kernel, exact.card.kernel) == ("compiled", "torch")
    found, expected = compiled.evaluate(crystals), exact.evaluate(crystals)
    for mine, theirs in zip(found.forces, expected.forces, strict=True):
        assert 0 < np.abs(mine - theirs).max() < bound * np.abs(theirs).max()
    assert np.allclose(found.stresses, expected.stresses, rtol=0, atol=bound)
    assert np.allclose(found.energies, expected.energies, rtol=1e-6, atol=0)


def test_products_that_are_not_exact_stay_with_torch(tmp_path):
    save_facet(tmp_path / "m.pt", untrained(variant(product="gaunt")).model, {})
    assert load_facet(tmp_path / "m.pt", "cpu", "float64").card.kernel == "torch"
