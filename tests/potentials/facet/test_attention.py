"""A network without built-in symmetry has smooth energies, and its latent error tells symmetry."""

import numpy as np
import pytest
import torch

from potentials.facet import (
    Frame,
    LossWeights,
    OptimizerSettings,
    begin_training,
    build_graph,
    draw_isometries,
    load_facet,
    make_batch,
    make_model,
    save_facet,
    take_step,
    turn_batch,
    validate,
)
from potentials.facet.attention import compute_equivariance_error
from tests.potentials.facet.structures import crystals, untrained, variant

pytestmark = pytest.mark.slow

ATTENTION = variant(network="attention")


def make_network(*, blind: bool = False):
    """Network with random weights; a blind one, as all are in the beginning, sees no directions."""
    model, generator = make_model(ATTENTION, {}, 1), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(model.readout[-1].weight, generator=generator)
    for layer in () if blind else model.layers:
        torch.nn.init.normal_(layer.filter.weight, std=0.5, generator=generator)
    return model


def measure_error(model) -> float:
    graph = build_graph(crystals(), ATTENTION, torch.device("cpu"), torch.float64)
    return compute_equivariance_error(model, graph, draw_isometries(3, 0)).item()


def test_latent_error_is_zero_for_an_invariant_network_only():
    assert measure_error(make_network(blind=True)) < 1e-20
    assert measure_error(make_network()) > 1e-4


def test_isometries_are_orthogonal_and_of_both_kinds():
    drawn = draw_isometries(50, 0)
    assert torch.allclose(drawn @ drawn.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    assert {round(sign) for sign in torch.linalg.det(drawn).tolist()} == {-1, 1}


def test_forces_are_the_slope_of_the_energy(tmp_path):
    save_facet(tmp_path / "m.pt", make_network(), {})
    potential = load_facet(tmp_path / "m.pt", "cpu", "float64")
    atoms, step = crystals()[1], 1e-4
    moved = [atoms.copy() for _ in range(2)]
    for image, sign in zip(moved, (1, -1), strict=True):
        image.positions[1, 2] += sign * step
    forth, back = potential.evaluate(moved).energies
    force = potential.evaluate([atoms]).forces[0][1, 2]
    assert abs(force) > 1e-4
    assert -(forth - back) / (2 * step) == pytest.approx(force, rel=1e-5)


def test_card_says_that_symmetry_was_learned(tmp_path):
    save_facet(tmp_path / "m.pt", make_network(), {})
    assert any(
        "learned" in limit for limit in load_facet(tmp_path / "m.pt", "cpu", "float64").card.limits
    )


def labelled(atoms, energy=0.3) -> Frame:
    forces = np.random.default_rng(len(atoms)).normal(size=(len(atoms), 3))
    stress = np.diag([0.1, 0.2, 0.3])
    columns = np.full((0, len(atoms), 3), np.nan)
    return Frame(atoms, "", energy, forces, stress, np.array([], dtype=np.int64), columns)


def test_turned_labels_fit_a_turned_invariant_network():
    model, weights = untrained().model, LossWeights()
    batch = make_batch([labelled(a) for a in crystals()], model, np.random.default_rng(0))
    turned = turn_batch(batch, draw_isometries(3, 0))
    losses = [validate(model, [frames], weights)[0] for frames in (batch, turned)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    network = make_network()
    losses = [validate(network, [frames], weights)[0] for frames in (batch, turned)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def train(weights: LossWeights):
    learner = begin_training(make_network(), weights, OptimizerSettings(), "cpu", "float64")
    frames = [labelled(a) for a in crystals()]
    batch = make_batch(frames, learner.model, np.random.default_rng(0))
    losses = [take_step(learner, batch, 0.2) for _ in range(60)]
    assert losses[-1] < losses[0]
    return learner.model


def test_latent_loss_keeps_a_network_nearer_to_symmetry():
    """A network without symmetry loses what little it has to the labels."""
    with_loss, without = (train(LossWeights(equivariance=weight)) for weight in (10.0, 0.0))
    assert measure_error(with_loss) < measure_error(without) / 2


def test_latent_loss_is_refused_for_built_in_symmetry():
    weights = LossWeights(equivariance=0.1)
    with pytest.raises(ValueError, match="network attention"):
        begin_training(untrained().model, weights, OptimizerSettings(), "cpu", "float64")
