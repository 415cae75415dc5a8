"""Graphs hold all pairs within the cutoff, however they were found."""

import numpy as np
import pytest
import sevenn._keys as key
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from sevenn.train.dataload import unlabeled_atoms_to_graph

from potentials import graphs, invert, load_potential
from potentials.graphs import build_graphs, join_graphs
from tests.potentials.crystals import rattled, trigonal_tellurium

pytestmark = pytest.mark.slow

CUTOFF = 5.0


@pytest.fixture
def searches(monkeypatch):
    """Structures whose pairs were searched."""
    found = []
    search = graphs.neighbour_list

    def recorded(quantities, atoms, cutoff):
        found.append(atoms)
        return search(quantities, atoms, cutoff)

    monkeypatch.setattr(graphs, "neighbour_list", recorded)
    return found


def displaced(atoms: Atoms, seed: int, amplitude: float = 0.01) -> Atoms:
    """Copy with displaced atoms."""
    copy = atoms.copy()
    copy.rattle(amplitude, seed=seed)
    return copy


def rows(pairs: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Pairs with their vectors, sorted."""
    table = np.column_stack([*pairs, np.round(vectors, 9)])
    return table[np.lexsort(table.T)]


def test_graphs_of_displaced_copies_are_those_of_a_fresh_search(searches):
    # The third shell of diamond lies at the cutoff.
    crystal = bulk("Si", a=4 * CUTOFF / np.sqrt(11), cubic=True)
    copies = [displaced(crystal, seed) for seed in range(6)]
    found = build_graphs(copies, CUTOFF)
    assert len(searches) == 1
    assert len({len(graph.vectors) for graph in found}) > 1, "no pair crossed the cutoff"
    for atoms, graph in zip(copies, found, strict=True):
        first, second, vectors = neighbor_list("ijD", atoms, CUTOFF)
        assert np.allclose(rows(graph.pairs, graph.vectors), rows((first, second), vectors))
        assert graph.volume == pytest.approx(atoms.get_volume())


def test_other_crystals_are_searched_anew(searches):
    crystal = trigonal_tellurium()
    other = crystal.copy()
    other.numbers[0] = 34
    moved, strained = crystal.copy(), crystal.copy()
    moved.positions[1, 2] += 0.06
    strained.set_cell(1.001 * strained.cell.array)
    structures = [crystal, displaced(crystal, 1), other, moved, strained, invert(strained)]
    build_graphs(structures, CUTOFF)
    assert len(searches) == 5


def test_atoms_outside_of_the_cell_have_the_same_neighbours():
    crystal = trigonal_tellurium()
    shifted = crystal.copy()
    shifted.positions += 3 * crystal.cell.array[0] + 0.4
    one, other = build_graphs([crystal, shifted], CUTOFF)
    assert np.allclose(rows(one.pairs, one.vectors), rows(other.pairs, other.vectors))


@pytest.mark.parametrize("crystal", [bulk("Si"), trigonal_tellurium(), bulk("Cs") * (2, 1, 1)])
def test_pairs_are_those_that_sevennet_was_trained_on(crystal):
    crystal = rattled(crystal)
    expected = unlabeled_atoms_to_graph(crystal, CUTOFF)
    [found] = build_graphs([crystal], CUTOFF)
    assert np.allclose(
        rows(found.pairs, found.vectors), rows(expected[key.EDGE_IDX], expected[key.EDGE_VEC])
    )


def test_results_do_not_depend_on_the_reuse_of_pairs():
    potential = load_potential("7net-0", parity=False)
    crystal = rattled(bulk("Si", cubic=True))
    copies = [displaced(crystal, seed, 0.02) for seed in range(3)]
    reused = potential.evaluate(copies)
    for atoms, found in zip(copies, reused.split(), strict=True):
        fresh = potential.evaluate([atoms])
        assert found.energies == pytest.approx(fresh.energies, rel=1e-12)
        assert np.allclose(found.forces[0], fresh.forces[0], rtol=0, atol=1e-12)
        assert np.allclose(found.stresses, fresh.stresses, rtol=0, atol=1e-12)


def test_union_sorts_atoms_by_their_number_of_neighbours():
    parts = build_graphs([rattled(trigonal_tellurium()), bulk("Cu"), bulk("He", "fcc", 12)], CUTOFF)
    whole = join_graphs(parts)
    counts = np.bincount(whole.pairs[0], minlength=len(whole.numbers))
    assert whole.groups == tuple(zip(*np.unique(counts, return_counts=True), strict=True))
    assert whole.groups[0] == (0, 1), "helium has no neighbour here"
    assert (np.diff(counts) >= 0).all()
    assert (np.diff(whole.pairs[0]) >= 0).all()
    for index, (part, places) in enumerate(zip(parts, whole.places, strict=True)):
        assert (whole.numbers[places] == part.numbers).all()
        assert (whole.structures[places] == index).all()
        mine = np.isin(whole.pairs[0], places)
        assert np.allclose(
            rows(places[part.pairs], part.vectors), rows(whole.pairs[:, mine], whole.vectors[mine])
        )
