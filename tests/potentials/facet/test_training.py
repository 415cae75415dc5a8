"""Losses see what is known only, steps go downhill, averages lag, and states come back whole."""

import os

import numpy as np
import pytest
import torch
from ase.build import bulk

from potentials.facet import (
    Facet,
    Frame,
    LossWeights,
    OptimizerSettings,
    begin_training,
    build_graph,
    compute_hessian_products,
    count_mean_neighbours,
    load_learner,
    make_batch,
    make_model,
    read_facet,
    save_learner,
    take_step,
    validate,
)
from potentials.facet.model import compute_derivatives, compute_derivatives_and_products
from potentials.facet.training import LABELS, compute_errors, compute_learning_rate, compute_loss
from tests.potentials.facet.structures import SMALL, crystals, hessian_columns, untrained

pytestmark = pytest.mark.slow

ALL = LossWeights(energy=1.0, force=1.0, stress=1.0, hessian=1.0)
CPU = torch.device("cpu")


def frame(atoms, seed=0, **labels) -> Frame:
    """Frame with random labels."""
    chance = np.random.default_rng(seed)
    known = {
        "energy": float(chance.normal()),
        "forces": chance.normal(size=(len(atoms), 3)),
        "stress": chance.normal(size=(3, 3)),
        "column_indices": np.array([1, 4]),
        "columns": chance.normal(size=(2, len(atoms), 3)),
    }
    return Frame(atoms, "", **{**known, **labels})


def batch_of(*frames, seed=0):
    return make_batch(frames, untrained().model, np.random.default_rng(seed))


def learner(**settings):
    model = Facet(SMALL)
    model.load_state_dict(untrained().model.state_dict())
    return begin_training(model, ALL, OptimizerSettings(**settings), "cpu", "float64")


def test_products_are_columns_of_all_structures_at_once():
    """Structures side by side do not act on each other."""
    model = untrained().model
    graph = build_graph(crystals(), SMALL, CPU, torch.float64)
    direction = torch.zeros(7, 3, dtype=torch.float64)
    direction.view(-1)[[1, 6, 17]] = 1.0
    energies, forces, stresses, products = compute_derivatives_and_products(model, graph, direction)
    columns = torch.eye(21, dtype=torch.float64)[[1, 6, 17]].reshape(3, 7, 3)
    expected = compute_hessian_products(model, graph, columns).sum(0)
    assert torch.allclose(products, expected, atol=1e-12)
    for one, two in zip(
        compute_derivatives(model, graph), (energies, forces, stresses), strict=True
    ):
        assert torch.allclose(one, two.detach(), atol=1e-12)


def test_a_batch_without_columns_has_no_error_of_them():
    """Whatever the weight; the other errors are those that it has beside frames with columns."""
    none = {"column_indices": np.zeros(0, dtype=np.int64), "columns": np.zeros((0, 2, 3))}
    first, second = (frame(crystals()[0], 0, **none), frame(crystals()[2], 1))
    model = untrained().model
    alone, both = (
        compute_errors(model, batch_of(*frames), ALL, create_graph=False)
        for frames in ([first], [first, second])
    )
    assert alone["hessian"].shape == (0, 3)
    assert both["hessian"].shape == (2, 3)
    assert torch.allclose(alone["force"], both["force"][:2], atol=1e-12)
    assert set(alone) == set(both)


def test_gradient_of_the_whole_loss_is_right():
    """Third derivatives included: against a central difference along a random direction."""
    state = learner()
    batch = batch_of(*(frame(atoms, seed) for seed, atoms in enumerate(crystals())))
    parameters = list(state.model.parameters())

    def loss():
        return compute_loss(compute_errors(state.model, batch, ALL, create_graph=True), ALL)

    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    torch.manual_seed(0)
    direction = [torch.randn_like(parameter) for parameter in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter.add_(d, alpha=sign * 1e-6)
        values.append(loss().item())
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter.sub_(d, alpha=sign * 1e-6)
    assert slope.item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def test_unknown_labels_do_not_count():
    atoms = crystals()[0]
    unknown = {
        "forces": np.full((2, 3), np.nan),
        "stress": np.full((3, 3), np.nan),
        "column_indices": np.zeros(0, dtype=int),
        "columns": np.zeros((0, 2, 3)),
    }
    one = frame(atoms, 1, energy=np.nan)
    two = frame(atoms, 2, **unknown)
    errors = compute_errors(untrained().model, batch_of(one, two), ALL, create_graph=False)
    assert {name: len(rows) for name, rows in errors.items()} == {
        "energy": 1,
        "force": 2,
        "stress": 1,
        "hessian": 2,
    }
    assert (one.known, two.known) == ({"force", "stress", "hessian"}, {"energy"})


def test_weightless_labels_are_not_looked_at():
    weights = LossWeights(energy=1.0, force=0.0, stress=0.0)
    errors = compute_errors(
        untrained().model, batch_of(frame(crystals()[0])), weights, create_graph=False
    )
    assert list(errors) == ["energy"]


def test_loss_is_the_weighted_mean_norm():
    errors = {
        "energy": torch.tensor([[1.0], [-3.0]]),
        "force": torch.tensor([[3.0, 4.0, 0.0]]),
    }
    assert compute_loss(errors, LossWeights(energy=2.0, force=10.0)).item() == pytest.approx(54.0)


def test_a_model_has_no_error_on_its_own_labels():
    """Signs of forces, stress and columns are those of the potential's evaluation."""
    atoms = crystals()[2]
    found = untrained().evaluate([atoms])
    columns = hessian_columns(untrained(), atoms, [1, 4])
    labels = {
        "energy": found.energies[0],
        "forces": found.forces[0],
        "stress": found.stresses[0],
        "columns": columns,
    }
    loss, errors = validate(untrained().model, [batch_of(frame(atoms, **labels))], ALL)
    assert loss < 1e-10
    assert set(errors) == {f"{n}_{m}" for n in LABELS for m in ("mae", "rmse")}


def test_steps_lower_the_loss():
    state = learner(learning_rate=3e-3, warmup=0.0)
    batch = batch_of(*map(frame, crystals()))
    losses = [take_step(state, batch, 0.0) for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
    assert state.n_steps == 15


def test_average_lags_behind_the_weights():
    """The n-th step moves it by 1 - min(decay, (1 + n) / (10 + n)) of the way."""
    state = learner(average_decay=0.15)
    batch = batch_of(frame(crystals()[0]))
    before = state.average.embedding.clone()
    for decay in (0.15, 0.15):
        take_step(state, batch, 0.5)
        before = decay * before + (1 - decay) * state.model.embedding.detach()
        assert torch.allclose(state.average.embedding, before, atol=1e-12)


def test_learning_rate_rises_and_falls():
    settings = OptimizerSettings(learning_rate=1.0, final_learning_rate=0.1, warmup=0.1)
    rates = [compute_learning_rate(settings, x) for x in np.linspace(0, 1, 101)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[10] == 1.0
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] == pytest.approx(0.1)


def test_state_comes_back_whole(tmp_path):
    """The steps after loading are those that would have come."""
    one, two = learner(), learner(learning_rate=1e-2)
    batch = batch_of(*map(frame, crystals()))
    take_step(one, batch, 0.1)
    save_learner(tmp_path / "state.pt", one, {})
    load_learner(tmp_path / "state.pt", two)
    two.settings = one.settings
    assert [take_step(one, batch, 0.2) for _ in range(3)] == [
        take_step(two, batch, 0.2) for _ in range(3)
    ]
    assert torch.equal(one.average.embedding, two.average.embedding)


def test_state_of_another_network_is_refused(tmp_path):
    state = learner()
    save_learner(tmp_path / "state.pt", state, {})
    state.model.embedding = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="does not fit"):
        load_learner(tmp_path / "state.pt", state)


def test_labels_that_are_too_large_are_told():
    with pytest.raises(ValueError, match="lower the learning rate"):
        take_step(
            learner(),
            batch_of(frame(crystals()[0], energy=1e300, forces=np.full((2, 3), 1e300))),
            0.5,
        )


def test_new_models_depend_on_their_seed_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, two, three = (make_model(SMALL, {14: -5.4}, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.embedding, two.embedding)
    assert not torch.equal(one.embedding, three.embedding)
    assert one.reference_energies.tolist() == [0.0, -5.4, 0.0, 0.0, 0.0]


def test_neighbours_of_diamond_are_counted():
    assert count_mean_neighbours([frame(bulk("Si", a=5.43))], 2.5) == 4
    assert count_mean_neighbours([frame(bulk("Si", a=5.43))], 4.0) == 16


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    "content",
    [
        {"format": "facet-1", "config": "{", "metadata": "{}", "weights": {}},
        {"format": "facet-1", "config": '{"elements": [6], "code": 1}'},
        {"format": "facet-1", "config": '{"elements": [6]}', "metadata": "{}", "weights": {}},
        {"format": "facet-1", "config": '{"elements": [6], "channels": 1000000000}'},
        [1, 2],
    ],
)
def test_unsound_model_files_are_told(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt"):
        read_facet(tmp_path / "model.pt")


def test_hostile_model_file_is_refused_and_runs_nothing(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"format": "facet-1", "config": Hostile(trap)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="holds more than tensors"):
        read_facet(tmp_path / "model.pt")
    assert not trap.exists()
