"""Train the forms of a network on the same frames with the same steps, and examine each.

    python -m benchmarks.equivariance_forms --data FILE --output DIR
    python -m benchmarks.equivariance_forms --output DIR --print

FILE holds labelled frames of AlN as `data/training/aln.yaml` takes them. Each form is trained in a
folder of its own, from which a stopped run continues. Prints a table in Markdown.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from potentials import load_potential
from tasks.examination import examine, make_rows
from tasks.training.run import MODEL, prepare_training, read_metrics, train_stage
from tasks.training.settings import TrainingSettings

_WIDTH = {"cutoff": 5.0, "channels": 32, "layers": 2, "l_max": 2, "l_hidden": 1}
_ATTENTION = {"network": "attention", "cutoff": 5.0, "channels": 32, "layers": 2}
# A network of attention whose energies count more learns to give no forces at all.
_LOSS = {"energy": 0.1, "force": 1.0, "stress": 0.0}
_STAGE: dict[str, Any] = {
    "epochs": 6,
    "batch_atoms": 128,
    "loss": _LOSS,
    "optimizer": {"average_decay": 0.99},
}
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cg": (_WIDTH, {}),
    "gaunt": (_WIDTH | {"product": "gaunt"}, {}),
    "cp-8": (_WIDTH | {"product": "cp", "rank": 8}, {}),
    "cp-24": (_WIDTH | {"product": "cp", "rank": 24}, {}),
    "grid-mlp": (_WIDTH | {"update": "grid_mlp"}, {}),
    "gate": (_WIDTH | {"update": "gate"}, {}),
    "plain": (_ATTENTION, {}),
    "augmented": (_ATTENTION, {"turned": True}),
    "latent": (_ATTENTION, {"loss": _LOSS | {"equivariance": 0.1}}),
    "both": (_ATTENTION, {"turned": True, "loss": _LOSS | {"equivariance": 0.1}}),
}
"""Settings of the model and of the stage, by the name of the form."""


def main() -> None:
    """Train, examine and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="labelled frames of AlN")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--only", nargs="+", default=list(FORMS), help="names of forms")
    parser.add_argument("--print", action="store_true", help="print what the folder has")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for form in () if options.print else options.only:
        train(form, options.data, options.output / form)
        measure(form, options.output / form)
    print_table(options.output)


def train(form: str, data: Path, folder: Path) -> None:
    """Train a form, and note the processor time."""
    model, stage = FORMS[form]
    settings = TrainingSettings.model_validate(
        {
            "name": f"facet-{form}",
            "data": {"files": [data], "elements": ["Al", "N"]},
            "model": model,
            "stages": [_STAGE | stage],
        }
    )
    start = time.process_time()
    prepare_training(settings, folder)
    train_stage(settings, folder, 1)
    spent = time.process_time() - start
    print(f"{form}: {spent:.0f} s of processor time", flush=True)


def measure(form: str, folder: Path) -> None:
    """Examine a form as it is, without an average."""
    names = f"facet:{folder / MODEL}@bare", f"facet:{folder / MODEL}@bare"
    exact, rounded = (
        load_potential(n, dtype=d) for n, d in zip(names, ("float64", "float32"), strict=True)
    )
    rows = pd.DataFrame(make_rows(examine(exact, rounded=rounded, reference=None)))
    rows["form"] = form
    rows.to_parquet(folder / "examination.parquet")


def print_table(folder: Path) -> None:
    """Print a column for each form."""
    found = [form for form in FORMS if (folder / form / "examination.parquet").exists()]
    rows = pd.concat(pd.read_parquet(folder / form / "examination.parquet") for form in found)
    table = rows.assign(measured=rows.title + " (" + rows.unit + ")").pivot_table(
        "value", "measured", "form", aggfunc="max", sort=False
    )
    for form in found:
        best = read_metrics(folder / form).iloc[-1]
        weights = torch.load(folder / form / MODEL, weights_only=True)["weights"].values()
        table.loc["weights", form] = sum(tensor.numel() for tensor in weights)
        table.loc["energy MAE (meV/atom)", form] = 1e3 * best.energy_mae
        table.loc["force MAE (meV/Å)", form] = 1e3 * best.force_mae
        table.loc["steps", form] = best.n_steps
        table.loc["seconds of an epoch", form] = read_metrics(folder / form).seconds.mean()
    print(table[found].map(lambda value: f"{value:.2g}").to_markdown())


if __name__ == "__main__":
    main()
