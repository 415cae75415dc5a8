"""Train forms of a network on the same frames with the same steps, and examine each.

    python -m benchmarks.equivariance_forms --data FILE --reference DIR --output FOLDER
    python -m benchmarks.equivariance_forms --print

FILE holds labelled frames of AlN as `data/training/aln.yaml` takes them, DIR the force constants
``dft_phonons/phono3py_186_AlN_PBEsol_rd200.yaml.xz``, fitted to the same calculations. Each form is
trained in a folder of its own, from which a stopped run continues; it is examined as it is,
one form also as averages over groups, and its modes are compared with those of the reference. What
is there already is not computed again. The numbers go into a table beside this file; `--print`
prints it as Markdown.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.validation import dft_modes
from benchmarks.validation.crystals import MAX_ATOMS
from potentials import load_potential
from tasks.examination import examine, make_rows
from tasks.training.run import MODEL, prepare_training, read_metrics, train_stage
from tasks.training.settings import TrainingSettings

RESULTS = Path(__file__).parent / "validation" / "results" / "equivariance_forms.csv"
_EXACT = 1e-5
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
_AVERAGED, _GROUPS = "augmented", ("inversion", "lattice", "octahedron")
_CRYSTAL = "phono3py_186_AlN_PBEsol_rd200"
_SHOWN = (
    "turned crystals: energy",
    "turned crystals: forces",
    "mirror images: forces",
    "forces against energies",
    "force constants against the space group",
    "false splitting of modes",
    "largest l where symmetry forbids it",
    "two hands: largest difference",
    "processor time",
)


def main() -> None:
    """Train, examine and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="labelled frames of AlN")
    parser.add_argument("--reference", type=Path, help="folder of the reference data")
    parser.add_argument("--output", type=Path, help="folder of the trainings")
    parser.add_argument("--only", nargs="+", default=list(FORMS), help="names of forms")
    parser.add_argument("--print", action="store_true", help="print the table that is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.print:
        for form in options.only:
            train(form, options.data, options.output / form)
        rows = [
            describe(form, group, options.output / form, options.reference)
            for form in options.only
            for group in ("bare", *(_GROUPS if form == _AVERAGED else ()))
        ]
        pd.DataFrame(rows).to_csv(RESULTS, index=False, float_format="%.4g")
    print(make_table(pd.read_csv(RESULTS)).to_markdown())


def train(form: str, data: Path, folder: Path) -> None:
    """Train a form."""
    model, stage = FORMS[form]
    settings = TrainingSettings.model_validate(
        {
            "name": f"facet-{form}",
            "data": {"files": [data], "elements": ["Al", "N"]},
            "model": model,
            "stages": [_STAGE | stage],
        }
    )
    prepare_training(settings, folder)
    train_stage(settings, folder, 1)


def describe(form: str, group: str, folder: Path, reference: Path) -> dict[str, Any]:
    """Errors on the frames that were kept, laws, and modes beside the reference."""
    name = f"facet:{folder / MODEL}@{group}"
    best = read_metrics(folder).sort_values("validation_loss").iloc[0]
    weights = torch.load(folder / MODEL, weights_only=True)["weights"].values()
    row = {
        "form": form if group == "bare" else f"{form}@{group}",
        "weights": sum(tensor.numel() for tensor in weights),
        "energy MAE (meV/atom)": 1e3 * best["energy_mae"],
        "force MAE (meV/Å)": 1e3 * best["force_mae"],
    }
    return row | measure_laws(name) | compare_modes(name, reference)


def measure_laws(name: str) -> dict[str, float]:
    """Worst number of each law that the table shows."""
    findings = pd.DataFrame(make_rows(examine(load_potential(name, dtype="float64"))))
    worst = findings.groupby("title")["value"].max()
    units = findings.groupby("title")["unit"].first()
    shown = [title for title in worst.index if title.startswith(_SHOWN)]
    return {f"{title} ({units[title]})": float(worst[title]) for title in shown}


def compare_modes(name: str, reference: Path) -> dict[str, float]:
    """Mean deviations of frequency and angular momentum from the reference, in its cell."""
    job = {
        "potential": name,
        "material_id": _CRYSTAL,
        "path": reference / "dft_phonons" / f"{_CRYSTAL}.yaml.xz",
        "max_atoms": MAX_ATOMS,
        "cell": "fixed",  # the frames are of one cell, without stresses
    }
    found = dft_modes.measured(job)
    return {
        "frequencies against DFT (THz)": found["frequency_mae"],
        "angular momenta against DFT (ħ)": found["momentum_mae"],
    }


def make_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One column for each form."""
    numbers = rows.set_index("form").T
    return numbers.map(lambda value: "< 10⁻⁵" if abs(value) < _EXACT else f"{value:.2g}")


if __name__ == "__main__":
    main()
