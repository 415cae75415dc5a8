"""What a student's screening keeps of its teacher's.

    chiralscreen screen demo --output results/teacher --potential 7net-0
    chiralscreen screen demo --output results/student --potential facet-aln
    python -m benchmarks.student results/teacher results/student

Crystals of which both datasets have force constants are compared at 40 random q-points each, the
force constants of both made fit for interpolation as the screening does. The angular momentum is
compared in modes that are further than 0.1 THz from all others and have |l| > 0.1 ħ with the
teacher. A crystal is stable when no frequency at a q-point commensurate with its supercell is
below -0.1 THz. Both potentials evaluate the student's supercells, in one process and thread,
without an average over the inversion: the CPU times give the ratio of speeds.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ase import Atoms

from benchmarks.validation.agreement import mode_agreement
from benchmarks.validation.crystals import STABILITY_TOLERANCE
from potentials import Potential, load_potential
from tasks.chirality import compute_modes
from tasks.crystals.cells import make_atoms
from tasks.phonons import compute_commensurate_frequencies
from tasks.phonons.rows import read_phonon, read_strain_response
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.storage import Dataset

N_Q_POINTS = 40
# Of a student that may take its teacher's place: THz, shares, and a ratio of speeds.
LIMITS = {"frequency": 0.10, "sign": 0.95, "stable": 0.97, "speed": 3.0}
Row = Mapping[str, Any]


def main() -> None:
    """Compare, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("teacher", type=Path, help="dataset of the teacher")
    parser.add_argument("student", type=Path, help="dataset of the student")
    parser.add_argument("--load", help="name by which to load a student that is not shipped")
    parser.add_argument("--output", type=Path, help="write the rows to this Parquet file as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    teacher, student = (rows_of(Dataset(path)) for path in (options.teacher, options.student))
    common = sorted(teacher.keys() & student.keys())
    if not common:
        raise SystemExit("the datasets have no crystal in common")
    table = pd.DataFrame([compared(teacher[name], student[name]) for name in common])
    print(table.round(3).to_markdown(index=False), flush=True)
    if options.output:
        table.to_parquet(options.output, index=False)
    names = teacher[common[0]]["potential"], options.load or student[common[0]]["potential"]
    ratio = speed_ratio(names, [student[name] for name in common])
    print(f"\n{summary(table, ratio).to_markdown(index=False)}")
    for name, rows, other in (("teacher", teacher, student), ("student", student, teacher)):
        print(f"\nwith the {name} alone: {', '.join(sorted(rows.keys() - other.keys())) or 'none'}")


def rows_of(dataset: Dataset) -> dict[str, Row]:
    """Force constants, with what the phonon stage and the analysis say, by material."""
    tables = (
        dataset.read("phonons").select(["key", "potential"]),
        dataset.read("relaxations").select(["material_id", "space_group_number_final"]),
    )
    potentials, groups = (dict(zip(*table.to_pydict().values(), strict=True)) for table in tables)
    return {
        row["material_id"]: row
        | {
            "potential": potentials[row["key"]],
            "space_group": groups[row["material_id"]],
        }
        for row in dataset.read("force_constants").to_pylist()
    }


def compared(teacher: Row, student: Row) -> dict[str, Any]:
    """Agreement on one crystal."""
    q_points = np.random.default_rng(0).uniform(-0.5, 0.5, (N_Q_POINTS, 3))
    phonons = [read_phonon(row) for row in (teacher, student)]
    crystal = make_atoms(phonons[0].primitive)
    expected, found = (
        compute_modes(impose_sum_rules(phonon, read_strain_response(row)).phonon, q_points)
        for phonon, row in zip(phonons, (teacher, student), strict=True)
    )
    agreement = mode_agreement(expected, found, phonons[0].primitive.cell)
    lowest = [float(compute_commensurate_frequencies(phonon).min()) for phonon in phonons]
    return {
        "material": teacher["material_id"],
        "crystal": crystal.get_chemical_formula("metal", empirical=True),
        "space group": teacher["space_group"],
        "space group (student)": student["space_group"],
        "volume (%)": 100 * (phonons[1].primitive.volume / phonons[0].primitive.volume - 1),
        "highest (THz)": float(expected.frequencies.max()),
        "frequency MAE (THz)": agreement["frequency_mae"],
        "modes": agreement["n_momentum"],
        "same sign": agreement["momentum_same_sign"],
        "lowest (THz)": lowest[0],
        "lowest (student)": lowest[1],
    }


def summary(table: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """Means over crystals and over modes, beside what a default potential must reach."""
    lowest = table[["lowest (THz)", "lowest (student)"]].to_numpy()
    stable, kept = (lowest >= -STABILITY_TOLERANCE).T
    weights = table["modes"].where(table["same sign"].notna(), 0)
    sign = float((table["same sign"].fillna(0) * weights).sum() / max(weights.sum(), 1))
    measured = {
        "mean absolute error of frequencies (THz)": (
            table["frequency MAE (THz)"].mean(), f"<= {LIMITS['frequency']}",
        ),
        "modes whose l has the same sign": (sign, f">= {LIMITS['sign']}"),
        "stable crystals that remain so": (
            float(kept[stable].mean()), f">= {LIMITS['stable']}",
        ),
        "speed of the teacher": (ratio, f">= {LIMITS['speed']}"),
    }  # fmt: skip
    rows = [(name, round(value, 3), limit) for name, (value, limit) in measured.items()]
    return pd.DataFrame(rows, columns=[f"{len(table)} crystals", "student", "default potential"])


def speed_ratio(names: tuple[str, str], rows: list[Row]) -> float:
    """CPU time of the teacher over that of the student, on the supercells of all crystals."""
    cells = [make_atoms(read_phonon(row).supercell) for row in rows]
    teacher, student = (load_potential(name, dtype="float32", parity=False) for name in names)
    return cpu_time(teacher, cells) / cpu_time(student, cells)


def cpu_time(potential: Potential, cells: list[Atoms]) -> float:
    """Seconds to evaluate some cells, after one that does not count."""
    potential.evaluate(cells[:1])
    start = time.process_time()
    for cell in cells:
        potential.evaluate([cell])
    return time.process_time() - start


if __name__ == "__main__":
    main()
