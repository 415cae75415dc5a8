# ruff: noqa: ANN401, PLC0415 - each environment has packages of its own; those of MACE are untyped
"""Error against the cost of training, of Facet and of a MACE of its width, from the same frames.

    python -m benchmarks.facet_budget --data FILE --network facet --seconds 60 120 240
    MACE_ENV/bin/python -m benchmarks.facet_budget --data FILE --network mace --seconds 60 120 240

FILE holds labelled frames of AlN as `data/training/aln.yaml` takes them; a tenth is kept for
validation, the same for both. Networks have 32 channels, two layers, messages of l up to 2 of which
l up to 1 are sent, and a cutoff of 5 Å. Both minimise the same loss in steps of one frame, on one
thread in float32, with Adam, half a cosine to zero over the budget (each network at its own usual
rate: 0.005 and 0.01), and an average of the weights. Each budget, in CPU seconds, is a training of
its own. Prints a table in Markdown.
"""

import argparse
import copy
import itertools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from potentials.facet import (
    FacetConfig,
    Frame,
    LossWeights,
    OptimizerSettings,
    begin_training,
    count_mean_neighbours,
    make_batch,
    make_model,
    take_step,
    validate,
)
from tasks.training.datasets import read_frames, split_frames
from tasks.training.reference_energies import fit_reference_energies

CHANNELS, CUTOFF = 32, 5.0
WEIGHTS = LossWeights(energy=5.0, force=1.0, stress=0.0)
MACE_RATE, DECAY, MOST_GRADIENT = 1e-2, 0.99, 10.0
HEADS = ("network", "CPU seconds", "steps", "energy MAE (meV/atom)", "force MAE (meV/Å)")
Errors = tuple[int, float, float]


def main() -> None:
    """Train with each budget, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="labelled frames of AlN")
    parser.add_argument("--network", choices=("facet", "mace"), required=True)
    parser.add_argument("--seconds", type=float, nargs="+", default=[60, 120, 240])
    options = parser.parse_args()
    torch.set_num_threads(1)
    frames = [f for f in read_frames(options.data) if set(f.atoms.symbols) == {"Al", "N"}]
    training, validation = split_frames(frames, 0.1, "frame", seed=0)
    train = {"facet": facet_errors, "mace": mace_errors}[options.network]
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for seconds in options.seconds:
        steps, energy, force = train(training, validation, seconds)
        print(f"| {options.network} | {seconds:.0f} | {steps} | {1e3 * energy:.3f} | ", end="")
        print(f"{1e3 * force:.1f} |", flush=True)


def steps_within(seconds: float, count: int, take: Callable[[int, float], object]) -> int:
    """Take steps with frames at random until the CPU time is spent; return their number."""
    generator, start, done = np.random.default_rng(0), time.process_time(), 0
    while (progress := (time.process_time() - start) / seconds) < 1:
        take(int(generator.integers(count)), progress)
        done += 1
    return done


def facet_errors(training: Sequence[Frame], validation: Sequence[Frame], seconds: float) -> Errors:
    """Steps, and errors of the averaged network."""
    numbers = tuple(sorted({int(z) for z in training[0].atoms.numbers}))
    neighbours = count_mean_neighbours(training[:5], CUTOFF)
    config = FacetConfig(numbers, CUTOFF, CHANNELS, l_hidden=1, average_neighbours=neighbours)
    model = make_model(config, fit_reference_energies(training), seed=0)
    settings = OptimizerSettings(average_decay=DECAY, final_learning_rate=0.0)
    learner = begin_training(model, WEIGHTS, settings, "cpu", "float32")
    generator = np.random.default_rng(0)

    def take(index: int, progress: float) -> None:
        take_step(learner, make_batch([training[index]], learner.model, generator), progress)

    done = steps_within(seconds, len(training), take)
    batches = [make_batch([frame], learner.average, generator) for frame in validation]
    errors = validate(learner.average, batches, WEIGHTS)[1]
    return done, errors["energy_mae"], errors["force_mae"]


def mace_errors(training: Sequence[Frame], validation: Sequence[Frame], seconds: float) -> Errors:
    """Steps, and errors of the averaged network."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    model = mace_model(training)
    average = copy.deepcopy(model).requires_grad_(requires_grad=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=MACE_RATE, amsgrad=True)
    batches, counter = [mace_batch(frame) for frame in training], itertools.count(1)

    def take(index: int, progress: float) -> None:
        energy, force = mace_differences(model, training[index], batches[index], training=True)
        loss = WEIGHTS.energy * energy.abs() + WEIGHTS.force * force.norm(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MOST_GRADIENT)
        optimizer.param_groups[0]["lr"] = MACE_RATE * (1 + math.cos(math.pi * progress)) / 2
        optimizer.step()
        n_steps = next(counter)
        # The average follows faster in the beginning, as that of Facet does.
        decay = min(DECAY, (1 + n_steps) / (10 + n_steps))
        for one, other in zip(average.parameters(), model.parameters(), strict=True):
            one.lerp_(other.detach(), 1 - decay)

    done = steps_within(seconds, len(training), take)
    found = [mace_differences(average, f, mace_batch(f), training=False) for f in validation]
    energy = float(np.mean([abs(difference.item()) for difference, _ in found]))
    return done, energy, float(torch.cat([force for _, force in found]).abs().mean())


def mace_model(training: Sequence[Frame]) -> Any:
    """Untrained MACE of correlation 3 with the energies, scale and neighbours of the frames."""
    from e3nn import o3
    from mace import modules

    energies = fit_reference_energies(training)
    interaction = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=CUTOFF,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=interaction,
        interaction_cls_first=interaction,
        num_interactions=2,
        num_elements=len(energies),
        hidden_irreps=o3.Irreps(f"{CHANNELS}x0e+{CHANNELS}x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.array([*energies.values()]),
        avg_num_neighbors=count_mean_neighbours(training[:5], CUTOFF),
        atomic_numbers=[*energies],
        correlation=3,
        gate=torch.nn.functional.silu,
        # As MACE does by default: the root mean square of the forces.
        atomic_inter_scale=float(np.sqrt(np.mean([f.forces**2 for f in training]))),
        atomic_inter_shift=0.0,
    )


def mace_batch(frame: Frame) -> dict[str, Any]:
    """One frame as MACE takes it."""
    from mace import data, tools
    from mace.tools import torch_geometric

    configuration = data.config_from_atoms(frame.atoms)
    table = tools.AtomicNumberTable(sorted({int(z) for z in frame.atoms.numbers}))
    graph = data.AtomicData.from_config(configuration, z_table=table, cutoff=CUTOFF)
    loader = torch_geometric.dataloader.DataLoader([graph], batch_size=1)
    batch: dict[str, Any] = next(iter(loader)).to_dict()
    return batch


def mace_differences(
    model: Any, frame: Frame, batch: dict[str, Any], *, training: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors of the energy per atom and of the forces."""
    found = model(dict(batch), training=training, compute_force=True)
    forces = torch.as_tensor(frame.forces, dtype=torch.float32)
    energy = (found["energy"][0] - frame.energy) / len(frame.atoms)
    return energy, found["forces"] - forces


if __name__ == "__main__":
    main()
