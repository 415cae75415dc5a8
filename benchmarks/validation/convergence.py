"""Convergence of our own numbers: displacement, precision, supercell, mesh.

    python -m benchmarks.validation.convergence

Crystals of the demo, one setting changed at a time, the others at their defaults. Frequencies and
angular momenta (of modes no other is near, matched by overlap) at random q-points are compared
with those of the finest value, means over the zone and tensor of the mesh likewise. Needs no
reference data. Rows that are in the output already are not computed again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import read
from phonopy import Phonopy

from benchmarks.validation.agreement import mode_agreement
from benchmarks.validation.crystals import SYMPREC, Job, Row, command_line, extend, load
from tasks.chirality import ChiralitySettings, analyze_force_constants, compute_modes
from tasks.crystals.cells import make_atoms
from tasks.crystals.structures import standardize
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.phonons.elasticity import measure_strain_responses
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax

DEMO = Path(__file__).parents[2] / "data" / "demo"
CRYSTALS = ("te", "zno", "gaas", "quartz-152")
N_Q_POINTS = 40
MAX_ATOMS = 400


@dataclass(frozen=True)
class Scan:
    """Values of one setting, the finest first; the others keep their defaults."""

    unit: str
    values: tuple[float, ...]


SCANS = {
    "displacement": Scan("Å", (0.01, 0.002, 0.005, 0.02, 0.04, 0.08)),
    "displacement, float32": Scan("Å", (0.01, 0.002, 0.005, 0.02, 0.04, 0.08)),
    "supercell length": Scan("Å", (14.0, 12.0, 10.0, 8.0, 6.0)),
    "mesh spacing": Scan("1/Å", (0.007, 0.01, 0.014, 0.02, 0.03)),
}


def phonon_of(relaxed: Atoms, potential: str, dtype: str, settings: PhononSettings) -> Phonopy:
    """Force constants fit for all q-points."""
    energy = load(potential, dtype)
    phonon = compute_force_constants(relaxed, energy, settings).phonon
    [response] = measure_strain_responses([make_atoms(phonon.primitive)], energy)
    return impose_sum_rules(phonon, response).phonon


def settings_of(setting: str, value: float) -> tuple[str, PhononSettings]:
    """Precision and settings of the force constants at one value of a setting."""
    defaults: dict[str, float] = {"max_atoms": MAX_ATOMS, "max_enlargements": 0}
    if setting == "supercell length":
        defaults["min_supercell_length"] = value
    if setting.startswith("displacement"):
        defaults["displacement"] = value
    dtype = "float32" if setting.endswith("float32") else "float64"
    return dtype, PhononSettings.model_validate(defaults)


def measured(job: Job) -> Row:
    """All deviations of one crystal and one setting, as lists along the values."""
    start = standardize(read(DEMO / f"{job['crystal']}.cif"), SYMPREC)
    [relaxed] = relax([start], load(job["potential"], "float64"), RelaxationSettings())
    setting, scan = str(job["setting"]), SCANS[str(job["setting"])]
    compare = mesh_deviations if setting == "mesh spacing" else mode_deviations
    rows = compare(relaxed.atoms, job["potential"], setting, scan)
    return {"crystal": job["crystal"], "setting": setting, "unit": scan.unit} | rows


def mode_deviations(atoms: Atoms, potential: str, setting: str, scan: Scan) -> Row:
    """Changes of frequencies and angular momenta; of float32 from float64."""
    q_points = np.random.default_rng(0).uniform(-0.5, 0.5, (N_Q_POINTS, 3))
    finest = settings_of(setting.removesuffix(", float32"), scan.values[0])
    expected = compute_modes(phonon_of(atoms, potential, *finest), q_points)
    values = scan.values if setting.endswith("float32") else scan.values[1:]
    found = [
        mode_agreement(
            expected,
            compute_modes(phonon_of(atoms, potential, *settings_of(setting, value)), q_points),
            atoms.cell,
        )
        for value in values
    ]
    return {
        "values": list(values),
        "frequency_change": [row["frequency_mae"] for row in found],
        "momentum_change": [row["momentum_mae"] for row in found],
    }


def mesh_deviations(atoms: Atoms, potential: str, setting: str, scan: Scan) -> Row:
    """Relative changes of the mean |l| and of the tensor."""
    phonon = phonon_of(atoms, potential, *settings_of(setting, scan.values[0]))
    records = [
        analyze_force_constants(
            phonon, ChiralitySettings(mesh_spacing=spacing, temperatures=(300.0,))
        ).record
        for spacing in scan.values
    ]
    finest, *others = records
    size = float(np.linalg.norm(finest.tensor))
    change = [float(np.linalg.norm(np.subtract(r.tensor, finest.tensor))) for r in others]
    mean = finest.mean_angular_momentum
    return {
        "values": list(scan.values[1:]),
        "mean_momentum_change": [abs(r.mean_angular_momentum / mean - 1) for r in others],
        "tensor_change": [one / size if size > 1e-12 else None for one in change],
    }


def long_form(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per crystal, setting, value and measure.

    Parameters
    ----------
    rows : pandas.DataFrame
        As stored, values and deviations as lists.

    Returns
    -------
    pandas.DataFrame
        ``crystal``, ``setting``, ``unit``, ``value``, ``measure``, ``deviation``.
    """
    measures = [name for name in rows.columns if name.endswith("_change")]
    frames = [
        rows.loc[rows[name].notna(), ["crystal", "setting", "unit", "values", name]]
        .rename(columns={"values": "value", name: "deviation"})
        .explode(["value", "deviation"])
        .assign(measure=name.removesuffix("_change"))
        for name in measures
    ]
    table = pd.concat(frames, ignore_index=True).dropna(subset="deviation")
    return table.astype({"value": float, "deviation": float})


def main() -> None:
    """Compute what is missing and write it."""
    parser = command_line(__doc__, "convergence", ["nequix-mp-1-pft"])
    parser.add_argument("--crystals", nargs="+", default=CRYSTALS)
    parser.add_argument("--settings", nargs="+", default=list(SCANS), choices=list(SCANS))
    options = parser.parse_args()
    jobs: list[Job] = [
        {
            "potential": name,
            "material_id": f"{crystal}: {setting}",
            "crystal": crystal,
            "setting": setting,
        }
        for name in options.potentials
        for crystal in options.crystals
        for setting in options.settings
    ]
    rows = extend(options.output, jobs, measured, workers=options.workers, limit=options.limit)
    good = rows[rows["error"].isna()]
    print(long_form(good).round(5).to_markdown(index=False))


if __name__ == "__main__":
    main()
