"""Every neighbour is found, and padding is invisible."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from potentials.facet import build_graph, compute_derivatives
from potentials.facet.graph import translate_species
from tests.potentials.facet.structures import SMALL, crystals, dimer, untrained, variant

CPU = torch.device("cpu")


def graph_of(*structures: Atoms, config=SMALL):
    return build_graph(structures, config, CPU, torch.float64)


@pytest.mark.parametrize("atoms", crystals(), ids=str)
def test_neighbours_are_those_of_an_independent_search(atoms):
    graph = graph_of(atoms)
    real = graph.vectors.norm(dim=-1) < SMALL.cutoff
    expected = np.bincount(neighbor_list("i", atoms, SMALL.cutoff), minlength=len(atoms))
    assert real.sum(1).tolist() == expected.tolist()


@pytest.mark.parametrize("atoms", crystals(), ids=str)
def test_vectors_lead_to_images_of_the_neighbours(atoms):
    graph = graph_of(atoms)
    real = (graph.vectors.norm(dim=-1) < SMALL.cutoff).numpy()
    ends = atoms.positions[:, None] + graph.vectors.numpy()
    steps = (ends - atoms.positions[graph.neighbours.numpy()])[real] @ np.linalg.inv(atoms.cell)
    assert np.allclose(steps, np.round(steps), atol=1e-9)


def test_all_neighbours_count_in_a_compressed_crystal():
    """There is no limit to their number."""
    graph = graph_of(bulk("Si", "fcc", a=2.6))
    expected = len(neighbor_list("i", bulk("Si", "fcc", a=2.6), SMALL.cutoff))
    assert graph.neighbours.shape == (1, expected)
    assert expected > 100


def test_structures_side_by_side_do_not_meet():
    graph = graph_of(*crystals())
    assert torch.equal(
        graph.structure[graph.neighbours], graph.structure[:, None].expand_as(graph.neighbours)
    )


def test_padding_has_no_effect():
    """A dimer beside a dense crystal has many empty places, and the energy it has alone."""
    model = untrained().model
    alone = compute_derivatives(model, graph_of(dimer(2.0)))
    beside = compute_derivatives(model, graph_of(dimer(2.0), bulk("Si", "fcc", a=2.6)))
    assert torch.allclose(alone[0], beside[0][:1], rtol=1e-13)
    assert torch.allclose(alone[1], beside[1][:2], atol=1e-13)


def test_longer_cutoff_finds_more():
    atoms = crystals()[0]
    assert (
        graph_of(atoms, config=variant(cutoff=6.0)).neighbours.shape[1]
        > graph_of(atoms).neighbours.shape[1]
    )


def test_species_follow_the_order_of_the_elements():
    assert translate_species([Atoms("SiC"), Atoms("Zn")], (6, 14, 30)).tolist() == [1, 0, 2]


def test_unknown_elements_are_told_by_name():
    with pytest.raises(ValueError, match="does not know Au, Xe"):
        translate_species([Atoms("AuSiXe")], (6, 14))
