"""Train forms of a network on the same frames with the same steps, and examine each.

    python -m benchmarks.equivariance_forms --data FILE --reference DIR --output FOLDER
    python -m benchmarks.equivariance_forms --crystal InP --data FILE --output FOLDER
    python -m benchmarks.equivariance_forms [--crystal InP] --print

FILE holds labelled frames of AlN as `data/training/aln.yaml` takes them, DIR the force constants
``dft_phonons/phono3py_186_AlN_PBEsol_rd200.yaml.xz``, fitted to the same calculations. Each form is
trained in a folder of its own, from which a stopped run continues; it is examined as it is,
one form also as averages over groups, and its modes are compared with those of the reference. The
numbers go into a table among the results of the validation; `--print` prints it as Markdown.

For InP, FILE is FitSNAP's example InP_JPCA2020 as extended XYZ, of which the strained cells of
eight atoms are taken. Symmetry is measured on zincblende; there is no reference of phonons.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch
from ase.build import bulk

from benchmarks.validation import dft_modes
from benchmarks.validation.crystals import MAX_ATOMS
from potentials import load_potential
from tasks.examination import Finding, examine
from tasks.examination.crystals import rattle
from tasks.examination.invariance import measure_invariance
from tasks.examination.lattice_dynamics import measure_force_constants, measure_hands
from tasks.examination.laws import LAWS
from tasks.training.datasets import read_frames, write_frames
from tasks.training.run import MODEL, prepare_training, read_metrics, train_stage
from tasks.training.settings import TrainingSettings

RESULTS = Path(__file__).parent / "validation" / "results" / "equivariance_forms.csv"
OTHER_RESULTS = RESULTS.with_name("equivariance_forms_inp.csv")
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
_OTHER_STAGE = {"epochs": 2, "batch_atoms": 32}
_MOST_ATOMS = 8
_ZINCBLENDE = 5.87  # Å
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
    parser.add_argument("--crystal", choices=("AlN", "InP"), default="AlN", help="of the frames")
    parser.add_argument("--data", type=Path, help="labelled frames")
    parser.add_argument("--reference", type=Path, help="folder of the reference data of AlN")
    parser.add_argument("--output", type=Path, help="folder of the trainings")
    parser.add_argument("--only", nargs="+", default=list(FORMS), help="names of forms")
    parser.add_argument("--print", action="store_true", help="print the table that is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = RESULTS if options.crystal == "AlN" else OTHER_RESULTS
    if not options.print:
        run = run_aln if options.crystal == "AlN" else run_inp
        pd.DataFrame(run(options)).to_csv(table, index=False, float_format="%.4g")
    print(make_table(pd.read_csv(table)).to_markdown())


def run_aln(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of AlN."""
    for form in options.only:
        train(form, options.data, options.output / form)
    return [
        describe(form, group, options.output / form)
        | measure_laws(f"facet:{options.output / form / MODEL}@{group}")
        | compare_modes(f"facet:{options.output / form / MODEL}@{group}", options.reference)
        for form in options.only
        for group in ("bare", *(_GROUPS if form == _AVERAGED else ()))
    ]


def run_inp(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of InP."""
    data = options.output / "frames.parquet"
    if not data.exists():
        frames = read_frames(options.data)
        write_frames(data, [frame for frame in frames if len(frame.atoms) <= _MOST_ATOMS])
    for form in options.only:
        train(form, data, options.output / form, ("In", "P"), _OTHER_STAGE)
    return [
        describe(form, "bare", options.output / form)
        | measure_zincblende(f"facet:{options.output / form / MODEL}@bare")
        for form in options.only
    ]


def train(
    form: str,
    data: Path,
    folder: Path,
    elements: tuple[str, ...] = ("Al", "N"),
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train a form."""
    model, stage = FORMS[form]
    settings = TrainingSettings.model_validate(
        {
            "name": f"facet-{form}",
            "data": {"files": [data], "elements": elements},
            "model": model,
            "stages": [_STAGE | changes | stage],
        }
    )
    prepare_training(settings, folder)
    train_stage(settings, folder, 1)


def describe(form: str, group: str, folder: Path) -> dict[str, Any]:
    """Weights, time, and errors on the frames that were kept."""
    metrics = read_metrics(folder)
    best = metrics.sort_values("validation_loss").iloc[0]
    weights = torch.load(folder / MODEL, weights_only=True)["weights"].values()
    return {
        "form": form if group == "bare" else f"{form}@{group}",
        "weights": sum(tensor.numel() for tensor in weights),
        # Of the epoch that was disturbed least by what else the machine had to do.
        "training (s per 1000 steps)": 1e3 * metrics["seconds"].min() / metrics["n_steps"].iloc[0],
        "energy MAE (meV/atom)": 1e3 * best["energy_mae"],
        "force MAE (meV/Å)": 1e3 * best["force_mae"],
    }


def measure_laws(name: str) -> dict[str, float]:
    """Worst number of each law that the table shows."""
    return show_laws(examine(load_potential(name, dtype="float64")).findings)


def measure_zincblende(name: str) -> dict[str, float]:
    """Likewise of zincblende InP, which is no crystal of the demo."""
    potential = load_potential(name, dtype="float64")
    crystals = {"InP": bulk("InP", "zincblende", a=_ZINCBLENDE)}
    rattled = {name: rattle(atoms) for name, atoms in crystals.items()}
    return show_laws(
        [
            *measure_invariance(potential, rattled),
            *measure_force_constants(potential, crystals),
            *measure_hands(potential, crystals),
        ]
    )


def show_laws(findings: Iterable[Finding]) -> dict[str, float]:
    """Worst number of each law that the table shows, by title."""
    found: dict[str, float] = {}
    for finding in findings:
        law = LAWS[finding.law]
        if law.title.startswith(_SHOWN):
            title = f"{law.title} ({law.unit})"
            found[title] = max(finding.value, found.get(title, 0.0))
    return dict(sorted(found.items()))


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
