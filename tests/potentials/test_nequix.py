"""Nequix gives the numbers of its authors' package, and is exactly O(3)-invariant."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from potentials import Equivariance, load_potential
from potentials.registry import list_nequix_names
from tests.potentials.crystals import rattled, trigonal_tellurium

pytestmark = pytest.mark.slow

NAME, NAMES = "nequix-mp-1-pft", ("nequix-mp-1-pft", "nequix-oam-1-pft")
FIXTURES = Path(__file__).parent / "fixtures"
CHECKPOINT = Path("potentials/checkpoints") / f"{NAME}.nqx"
PRECISION = 1e-4  # eV, eV/Å; the reference is float32


def reference(name: str) -> dict:
    """What the package of the authors gives for a checkpoint."""
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


def crystal_of(entry: dict) -> Atoms:
    """Crystal of the reference."""
    return Atoms(entry["numbers"], cell=entry["cell"], positions=entry["positions"], pbc=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_those_of_the_original_package(dtype, name):
    entries = reference(name)["crystals"]
    found = load_potential(name, dtype=dtype).evaluate([*map(crystal_of, entries)])
    for i, entry in enumerate(entries):
        assert found.energies[i] == pytest.approx(entry["energy"], abs=PRECISION)
        assert np.allclose(found.forces[i], entry["forces"], rtol=0, atol=PRECISION)
        assert np.allclose(found.stresses[i], entry["stress"], rtol=0, atol=1e-6)
        assert np.abs(entry["forces"]).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_card_tells_identity(name):
    card = load_potential(name).card
    assert card.name == name
    assert card.equivariance is Equivariance.O3
    assert not card.averaged
    assert {1, 8, 52, 94} <= card.elements
    assert 85 not in card.elements
    assert "CC-BY" in card.licence


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("improper", [1, -1])
def test_turned_and_mirrored_crystals_have_equal_energies(improper, name):
    atoms = rattled(trigonal_tellurium())
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    turn = np.linalg.solve(atoms.cell.array, turned.cell.array) * improper
    image = Atoms(
        atoms.numbers, cell=atoms.cell.array @ turn, positions=atoms.positions @ turn, pbc=True
    )
    found = load_potential(name).evaluate([atoms, image])
    assert found.energies[1] == pytest.approx(found.energies[0], abs=1e-10)
    assert np.allclose(found.forces[1], found.forces[0] @ turn, rtol=0, atol=1e-10)
    assert np.allclose(found.stresses[1], turn.T @ found.stresses[0] @ turn, rtol=0, atol=1e-10)


def test_forces_and_stress_are_derivatives_of_the_energy():
    potential = load_potential(NAME)
    atoms = rattled(bulk("ZnS", "zincblende", a=5.4))
    found = potential.evaluate([atoms])
    step, rng = 1e-4, np.random.default_rng(0)
    motion, strain = rng.normal(size=(2, 3)), rng.normal(size=(3, 3))
    strain = strain + strain.T
    slopes = {
        "move": (motion, -np.sum(found.forces[0] * motion)),
        "strain": (strain, np.sum(found.stresses[0] * strain) * atoms.get_volume()),
    }
    for kind, (amount, slope) in slopes.items():
        pair = [changed(atoms, kind, sign * step * amount) for sign in (1, -1)]
        plus, minus = potential.evaluate(pair).energies
        assert (plus - minus) / (2 * step) == pytest.approx(slope, rel=1e-5)


def changed(atoms: Atoms, kind: str, amount: np.ndarray) -> Atoms:
    """Crystal with moved atoms, or strained."""
    result = atoms.copy()
    if kind == "move":
        result.positions += amount
    else:
        result.set_cell(atoms.cell.array @ (np.eye(3) + amount), scale_atoms=True)
    return result


@pytest.mark.parametrize(("dtype", "relative"), [("float32", 1e-6), ("float64", 1e-12)])
def test_batch_equals_single(dtype, relative):
    potential = load_potential(NAME, dtype=dtype)
    crystals = [rattled(bulk("Cu")), rattled(trigonal_tellurium()), rattled(bulk("Si"))]
    together = potential.evaluate(crystals)
    for i, atoms in enumerate(crystals):
        alone = potential.evaluate([atoms])
        assert together.energies[i] == pytest.approx(alone.energies[0], rel=relative)
        largest = max(np.abs(alone.forces[0]).max(), 0.1)
        assert np.allclose(
            together.forces[i], alone.forces[0], rtol=0, atol=10 * relative * largest
        )


def test_an_atom_without_neighbours_has_an_energy():
    found = load_potential(NAME).evaluate([Atoms("Ar", cell=np.eye(3) * 20, pbc=True)])
    assert np.isfinite(found.energies).all()
    assert np.array_equal(found.forces[0], np.zeros((1, 3)))
    assert np.array_equal(found.stresses[0], np.zeros((3, 3)))


def test_energy_and_forces_vanish_smoothly_at_the_cutoff():
    potential = load_potential(NAME)
    distances = potential.cutoff + np.array([-2e-3, -1e-3, 1e-3])
    cell = np.eye(3) * 30
    pairs = [Atoms("O2", positions=[(0, 0, 0), (d, 0, 0)], cell=cell, pbc=True) for d in distances]
    found = potential.evaluate(pairs)
    assert np.ptp(found.energies) < 1e-9
    assert max(np.abs(forces).max() for forces in found.forces) < 1e-7


def test_checkpoints_are_listed_and_loaded_from_files(tmp_path):
    assert list_nequix_names() == NAMES
    copy = tmp_path / "mine.nqx"
    copy.write_bytes(CHECKPOINT.read_bytes())
    own = load_potential(f"nequix:{copy}", dtype="float32")
    shipped = load_potential(NAME, dtype="float32")
    assert own.card.digest == shipped.card.digest
    assert own.evaluate([bulk("Si")]).energies == shipped.evaluate([bulk("Si")]).energies


def pickled_array() -> bytes:
    """An array that numpy could only read by running a pickle."""
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def with_config(**changes: object) -> bytes:
    """The checkpoint under another configuration."""
    header, arrays = CHECKPOINT.read_bytes().split(b"\n", 1)
    return json.dumps({**json.loads(header), **changes}).encode() + b"\n" + arrays


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no checkpoint"),
        (b"not json\n", "no checkpoint"),
        (b"{}\n", "no checkpoint"),
        (CHECKPOINT.read_bytes()[:100_000], "no checkpoint"),
        (with_config(index_weights=True), "index_weights is True"),
        (with_config(hidden_irreps="64x0e + 64x1o"), "shape"),
        (with_config().split(b"\n")[0] + b"\n" + pickled_array(), "no checkpoint"),
    ],
    ids=["empty", "text", "no config", "cut off", "other kind", "other sizes", "pickle"],
)
def test_other_files_are_refused(content, word, tmp_path):
    path = tmp_path / "model.nqx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=word):
        load_potential(f"nequix:{path}")


def test_a_missing_file_is_told():
    with pytest.raises(ValueError, match="no such file"):
        load_potential("nequix:/no/such/model.nqx")


@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_which_energies_are_made(name):
    """With and without the compiled kernel, in the order of the atoms."""
    atoms = trigonal_tellurium()
    atoms.rattle(0.02, seed=3)
    potential, plain = (load_potential(name, compiled=compiled) for compiled in (True, False))
    features = potential.describe(atoms)
    assert [x.shape for x in features] == [(3, 1, 512), (3, 3, 192), (3, 5, 96), (3, 7, 96)]
    for mine, other in zip(features, plain.describe(atoms), strict=True):
        assert np.abs(mine - other).max() < 1e-6
    last = features[0][:, 0, -128:] @ plain.network.readout.numpy()
    energy = last.sum() + plain.network.offsets[plain.network.species.index(52)] * 3
    assert energy == pytest.approx(potential.evaluate([atoms]).energies[0], abs=1e-6)
