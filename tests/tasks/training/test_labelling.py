"""Samples repeat, labels are derivatives, and disagreement finds what is unknown."""

from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from matscipy.neighbours import neighbour_list

from potentials import load_potential
from potentials.facet import FacetConfig, make_model, save_facet
from tasks.failures import RemediableError
from tasks.screening.settings import PotentialSettings
from tasks.training import write_frames
from tasks.training.disagreement import measure_disagreements, select_most_disputed
from tasks.training.labelling import (
    DistillationSettings,
    RefereeSettings,
    SourceCrystal,
    label_chunk,
    label_crystals,
    merge_labels,
    read_usable_crystals,
)
from tasks.training.sampling import SamplingSettings, compute_spring_motion, sample_crystal
from tests.tasks.training.crystals import silicon_labels

pytestmark = pytest.mark.slow

ZINC_SULFIDE = bulk("ZnS", "zincblende", a=5.4)
SMALL = SamplingSettings(n_rattled=2, n_columns=2, min_length=5.0, max_atoms=16)


@pytest.fixture(scope="module")
def referees(tmp_path_factory):
    """Names of two students of two seeds, untrained."""
    folder = tmp_path_factory.mktemp("referees")
    config = FacetConfig(elements=(14,), channels=4, cutoff=4.0)
    for seed in (1, 2):
        save_facet(folder / f"{seed}.pt", make_model(config, {}, seed), {})
    return tuple(f"facet:{folder / name}.pt" for name in ("1", "2"))


def test_samples_depend_on_name_and_seed_alone():
    one, two, other = (sample_crystal(n, ZINC_SULFIDE, SMALL, 3) for n in ("a", "a", "b"))
    for first, second in zip(one.rattled, two.rattled, strict=True):
        assert np.array_equal(first.positions, second.positions)
    assert not np.allclose(one.rattled[0].positions, other.rattled[0].positions)
    fewer = sample_crystal("a", ZINC_SULFIDE, SMALL, 1)
    assert np.array_equal(fewer.rattled[0].positions, one.rattled[0].positions)
    assert np.array_equal(fewer.column_indices, one.column_indices)


def test_samples_stay_in_their_limits():
    samples = sample_crystal("a", ZINC_SULFIDE, SMALL, 30)
    assert 2 < len(samples.crystal) <= 16
    cell = samples.crystal.cell.array
    strains = [np.linalg.solve(cell, a.cell.array) - np.eye(3) for a in samples.rattled]
    assert 0.02 < np.abs(strains).max() <= SMALL.max_strain
    assert np.allclose(strains, np.transpose(strains, (0, 2, 1)))
    deviations = [
        (a.positions - samples.crystal.positions @ (np.eye(3) + s)).std()
        for a, s in zip(samples.rattled, strains, strict=True)
    ]
    assert 0.005 < min(deviations) < 0.02
    assert 0.06 < max(deviations) < 0.13


def test_springs_keep_bonds_and_sizes():
    """As far in all, the centre at rest, and bonds change less than by white noise."""
    crystal = sample_crystal("a", ZINC_SULFIDE, SMALL, 0).crystal
    first, second, vectors = neighbour_list("ijD", crystal, 2.6)
    bonds = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    stretches = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0.0, 0.02, (len(crystal), 3))
        motion = compute_spring_motion(crystal, noise)
        assert motion.std() == pytest.approx(noise.std())
        assert np.allclose(motion.sum(axis=0), 0.0)
        stretches.append([((u[second] - u[first]) * bonds).sum(axis=1) for u in (noise, motion)])
    white, soft = np.sqrt(np.square(stretches).mean(axis=(0, 2)))
    assert white == pytest.approx(0.02 * 2**0.5, rel=0.1)
    assert soft < 0.7 * white


def test_springs_make_forces_proportional_to_frequencies():
    """In the heat a mode has a displacement of 1 / frequency, and so a force of frequency."""
    crystal = bulk("AlN", "wurtzite", a=3.13, c=5.02, u=0.382)
    hessian = hessian_of(crystal, load_potential("facet-aln"))
    values, modes = (part[..., 3:] for part in np.linalg.eigh(hessian))
    spreads = []
    for moved in (lambda noise: noise, partial(compute_spring_motion, crystal)):
        noises = np.random.default_rng(0).normal(0.0, 0.02, (400, len(crystal), 3))
        forces = [modes.T @ hessian @ moved(noise).ravel() for noise in noises]
        sizes = np.sqrt(np.square(forces).mean(axis=0) / values)
        spreads.append(np.log(sizes).std())
    assert spreads[1] < 0.5 * spreads[0]


def hessian_of(crystal, potential):
    """Second derivatives in eV/Å^2, by central differences."""
    steps = 0.01 * np.eye(3 * len(crystal)).reshape(-1, len(crystal), 3)
    pair = []
    for sign in (1, -1):
        moved = [crystal.copy() for _ in steps]
        for atoms, step in zip(moved, steps, strict=True):
            atoms.positions += sign * step
        pair.append(np.array(potential.evaluate(moved).forces).reshape(len(steps), -1))
    hessian = (pair[1] - pair[0]) / 0.02
    return (hessian + hessian.T) / 2


def test_springs_are_a_choice():
    pair = [
        sample_crystal("a", ZINC_SULFIDE, SMALL.model_copy(update={"springs": springs}), 1)
        for springs in (False, True)
    ]
    assert not np.allclose(pair[0].rattled[0].positions, pair[1].rattled[0].positions)
    assert np.array_equal(pair[0].rattled[0].cell, pair[1].rattled[0].cell)


def test_displaced_cells_move_one_atom_along_one_axis():
    samples = sample_crystal("a", ZINC_SULFIDE, SMALL, 0)
    moves = [a.positions - samples.crystal.positions for a in samples.displaced]
    for column, (forth, back) in zip(
        samples.column_indices, zip(moves[::2], moves[1::2], strict=True), strict=True
    ):
        assert np.flatnonzero(np.abs(forth) > 1e-9).tolist() == [column]
        assert np.allclose(forth, -back)


def test_large_cells_are_refused():
    with pytest.raises(RemediableError, match="more than the limit"):
        sample_crystal("a", bulk("Si", cubic=True), SMALL.model_copy(update={"max_atoms": 4}), 1)


def test_columns_are_those_of_the_teacher():
    """The acoustic sum rule, and a curvature like silicon's (DFT: 13 eV/Å^2)."""
    head = silicon_labels()[0]
    assert head.columns.shape == (4, 2, 3)
    assert np.abs(head.columns.sum(axis=1)).max() < 1e-3
    own = head.columns[range(4), head.column_indices // 3, head.column_indices % 3]
    assert ((own > 8) & (own < 14)).all()


def test_crystals_are_relaxed_before_they_are_labelled():
    """Both silicons, compressed and not, become the teacher's silicon."""
    volumes = {frame.group: frame.atoms.get_volume() for frame in silicon_labels()[::7]}
    assert volumes["si-0"] == pytest.approx(volumes["si-1"], rel=1e-3)
    assert volumes["si-0"] == pytest.approx(40.9, abs=0.5)


def test_frames_are_the_crystal_its_rattles_and_its_displacements():
    frames = silicon_labels()
    assert len(frames) == 2 * (1 + 2 + 4)
    forces = [np.abs(frame.forces).max() for frame in frames[:7]]
    assert forces[0] < 1e-3
    assert all(0.05 < force < 0.3 for force in forces[3:])
    assert all(len(frame.column_indices) == 0 for frame in frames[1:7])


def test_disagreement_chooses_cells(referees):
    first, second = map(load_potential, referees)
    cells = sample_crystal("a", bulk("Si"), SMALL, 6).rattled
    measured = measure_disagreements(cells, first, second)
    kept = select_most_disputed(cells, (first, second), 2)
    assert {id(a) for a in kept} == {id(cells[i]) for i in np.argsort(measured)[-2:]}
    assert np.allclose(measure_disagreements(cells, first, first), 0.0)
    assert select_most_disputed([], (first, second), 2) == []


def test_labels_go_to_the_most_disputed_candidates(referees):
    pair = tuple(PotentialSettings(name=name, dtype="float64") for name in referees)
    settings = DistillationSettings(
        sampling=SamplingSettings(n_rattled=1, n_columns=0, min_length=3.0, max_atoms=2),
        referees=RefereeSettings(potentials=pair, candidates=5),
    )
    crystals = [SourceCrystal("si", bulk("Si", a=5.43))]
    loaded = tuple(map(load_potential, referees))
    teacher = load_potential("7net-0")
    _, chosen = label_crystals(crystals, teacher, settings, loaded)
    plain = settings.model_copy(update={"referees": None})
    many = plain.sampling.model_copy(update={"n_rattled": 5})
    wide = label_crystals(crystals, teacher, plain.model_copy(update={"sampling": many}), None)
    disputed = measure_disagreements([frame.atoms for frame in wide[1:]], *loaded)
    best = wide[1 + int(disputed.argmax())]
    assert np.allclose(chosen.atoms.positions, best.atoms.positions)


def test_chunks_are_labelled_once(tmp_path):
    settings = DistillationSettings(sampling=SMALL.model_copy(update={"n_columns": 1}))
    crystals = [SourceCrystal("si", bulk("Si"))]
    teacher = load_potential("7net-0")
    assert label_chunk(tmp_path / "labels", crystals, teacher, settings) == 4
    assert label_chunk(tmp_path / "labels", crystals, teacher, settings) == 0
    merge_labels(tmp_path / "labels", tmp_path / "all.parquet")
    assert pq.read_metadata(tmp_path / "all.parquet").num_rows == 4


def test_no_labels_are_told(tmp_path):
    write_frames(tmp_path / "labels" / "none.parquet", [])
    with pytest.raises(RemediableError, match="no crystal"):
        merge_labels(tmp_path / "labels", tmp_path / "all.parquet")


def test_crystals_that_the_teacher_cannot_label_are_left_out(tmp_path):
    for name, atoms in {"zns": ZINC_SULFIDE, "si8": bulk("Si", cubic=True) * 3}.items():
        atoms.write(tmp_path / f"{name}.cif")
    (tmp_path / "broken.cif").write_text("data_x\n")
    settings = DistillationSettings(sampling=SMALL.model_copy(update={"max_atoms": 2}))
    names = {c.name for c in read_usable_crystals(tmp_path, settings, frozenset({14, 16, 30}))}
    assert names == {"zns", "si8"}
    assert [c.name for c in read_usable_crystals(tmp_path, settings, frozenset({14}))] == ["si8"]
