"""What labels chosen by disagreement are worth beside random ones.

    python -m benchmarks.facet_active results/student/labels.parquet

Needs the labels of a distillation with several rattled cells of each crystal. A quarter of the
crystals is kept for the test. Of each other crystal two rattled cells are kept: the first ones
(which is a random choice), those that are displaced furthest, or those on which two students
disagree most that were trained on the crystals at rest and one rattled cell. On each choice
students of several seeds are trained, equally long, and tested on all rattled cells of the other
crystals, of which errors are told for small and for large displacements.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ase import Atoms

from potentials import Potential, load_potential
from potentials.facet import Frame
from tasks.training import (
    DataSettings,
    ModelSettings,
    StageSettings,
    TrainingSettings,
    prepare_training,
    train_stage,
    write_frames,
)
from tasks.training.datasets import read_frames
from tasks.training.disagreement import select_most_disputed
from tasks.training.run import MODEL

N_KEPT = 2
# Mean force (eV/Å) that divides weakly from strongly displaced cells.
STRONG = 0.3
Choice = Callable[[list[Frame]], list[Frame]]


def main() -> None:
    """Train on each choice, and print errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("labels", type=Path, help="labels.parquet of a distillation")
    parser.add_argument("--crystals", type=int, default=160, help="how many to take")
    parser.add_argument("--epochs", type=int, default=12, help="of each training")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each choice")
    options = parser.parse_args()
    torch.set_num_threads(1)
    families = families_of(options.labels)[: options.crystals]
    test = [frame for family in families[::4] for frame in family[1]]
    taught = [family for i, family in enumerate(families) if i % 4]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        few = cells_of(taught, lambda rattled: rattled[:1])
        names = [f"facet:{train(folder / f'r{s}', few, s, options.epochs)}" for s in (101, 102)]
        first, second = (load_potential(name, "cpu", "float32") for name in names)
        choices: dict[str, Choice] = {
            "random": lambda rattled: rattled[:N_KEPT],
            "furthest": lambda rattled: sorted(rattled, key=lambda f: -size_of(f))[:N_KEPT],
            "disputed": lambda rattled: disputed(rattled, (first, second)),
        }
        lessons = {name: cells_of(taught, choose) for name, choose in choices.items()}
        rows = [
            {"choice": name, "seed": seed}
            | errors(train(folder / f"{name}{seed}", frames, seed, options.epochs), test)
            for name, frames in lessons.items()
            for seed in range(options.seeds)
        ]
    table = pd.DataFrame(rows)
    print(f"{len(taught)} crystals, {len(test)} frames for the test")
    print(table.round(1).to_markdown(index=False))
    print(table.groupby("choice").mean().drop(columns="seed").round(1).to_markdown())


def families_of(path: Path) -> list[tuple[list[Frame], list[Frame]]]:
    """Crystals at rest and rattled cells, by crystal, mixed by the order of their chunks."""
    frames = sorted(read_frames(path), key=lambda frame: frame.group)
    families = []
    for _, members in groupby(frames, key=lambda frame: frame.group):
        head, *others = members
        cell = np.asarray(head.atoms.cell)
        rattled = [f for f in others if not np.allclose(f.atoms.cell, cell)]
        families.append(([head], rattled))
    np.random.default_rng(0).shuffle(families)
    return [family for family in families if len(family[1]) > N_KEPT]


def cells_of(families: Sequence[tuple[list[Frame], list[Frame]]], choose: Choice) -> list[Frame]:
    """Crystals at rest and the rattled cells that a choice keeps of each."""
    return [frame for rest, rattled in families for frame in (*rest, *choose(rattled))]


def disputed(rattled: Sequence[Frame], referees: tuple[Potential, Potential]) -> list[Frame]:
    """Frames of the cells on which two students disagree most."""
    frames: dict[int, Frame] = {id(frame.atoms): frame for frame in rattled}
    cells: list[Atoms] = [frame.atoms for frame in rattled]
    return [frames[id(atoms)] for atoms in select_most_disputed(cells, referees, N_KEPT)]


def size_of(frame: Frame) -> float:
    """How far a cell is from rest: the mean size of a force component (eV/Å)."""
    return float(np.abs(frame.forces).mean())


def train(folder: Path, frames: Sequence[Frame], seed: int, epochs: int) -> Path:
    """Train a student, and return its file."""
    folder.mkdir()
    write_frames(folder / "frames.parquet", frames)
    data = DataSettings(files=(folder / "frames.parquet",), split_by="group", validation_share=0.03)
    stage = StageSettings.model_validate({
        "epochs": epochs, "batch_atoms": 64,
        "loss": {"energy": 4.0, "force": 10.0, "stress": 60.0},
        "optimizer": {"max_gradient": 50.0, "average_decay": 0.98},
    })  # fmt: skip
    model = ModelSettings(channels=32, n_radial=10)
    settings = TrainingSettings(data=data, model=model, stages=(stage,), seed=seed)
    prepare_training(settings, folder)
    train_stage(settings, folder, 1)
    return folder / MODEL


def errors(model: Path, test: Sequence[Frame]) -> dict[str, float]:
    """Mean error of force components in meV/Å."""
    found = load_potential(f"facet:{model}", "cpu", "float32").evaluate([f.atoms for f in test])
    means = np.array([np.abs(a - f.forces).mean() for a, f in zip(found.forces, test, strict=True)])
    strong = np.array([size_of(frame) for frame in test]) > STRONG
    parts = {"all": means, "weak": means[~strong], "strong": means[strong]}
    return {f"{name} (meV/Å)": 1e3 * float(part.mean()) for name, part in parts.items()}


if __name__ == "__main__":
    main()
