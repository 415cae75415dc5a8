"""Which division of force constants among periodic images suits best, and what depends on it.

    python -m benchmarks.divisions

Crystals of the demo are relaxed by the default potential. Force constants of the supercell that a
screening takes (10 Å, at most 200 atoms) are divided among the images by weights r^-n such that the
sum rules hold, and compared with those of a larger supercell (15 Å), which stand for the infinite
crystal; "nearest" is the usual division, without the rules.

First table: mean errors of the acoustic (lowest three) and the optical branches at random q-points
of the whole zone and near Γ (THz), and relative errors of the response tensor at 300 K, of the
linear splittings and of the mean optical helicity. Second table: for each n in place of that of
the main numbers, how far its numbers are from these (the spread), beside the errors of these: a
good spread is of their size.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.io import read
from numpy.typing import NDArray
from phonopy import Phonopy

from flows.console import locate_source
from potentials import Potential, load_potential
from tasks.chirality import ChiralitySettings, analyze_force_constants, compute_modes
from tasks.crystals.cells import make_atoms
from tasks.crystals.structures import standardize
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.phonons.elasticity import StrainResponse, measure_strain_responses
from tasks.phonons.fourier import HarmonicCrystal
from tasks.phonons.sum_rules import WEIGHTS, impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax
from tasks.screening.settings import PotentialSettings
from tasks.tables.chirality import ChiralityRecord

FloatArray = NDArray[np.float64]
CRYSTALS = (
    *("te", "se", "quartz-152", "geo2", "hgs-cinnabar", "crsi2", "fesi", "ni3s2"),
    *("zno", "gan", "gaas", "linbo3", "cdal2s4", "nbas", "cristobalite"),
)
POWERS = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
LENGTHS = (10.0, 15.0)  # Å
MAX_ATOMS = (200, 600)
N_Q_POINTS = 60
NEAR = 0.1  # of the zone
MAIN = f"r^-{WEIGHTS:g}"
ANALYSIS = ChiralitySettings(mesh_spacing=0.015, path_spacing=0.1, temperatures=(300.0,))


@dataclass(frozen=True)
class Computed:
    """Force constants of a crystal in two supercells, and its response to strain."""

    small: Phonopy
    large: Phonopy
    response: StrainResponse


def compute_crystal(name: str, potential: Potential) -> Computed:
    """Relax a crystal of the demo and compute its force constants twice."""
    start = standardize(read(locate_source(Path("demo")) / f"{name}.cif"), 0.01)
    [relaxed] = relax([start], potential, RelaxationSettings())
    small, large = (
        compute_force_constants(
            relaxed.atoms,
            potential,
            PhononSettings(min_supercell_length=length, max_atoms=most, max_enlargements=0),
        ).phonon
        for length, most in zip(LENGTHS, MAX_ATOMS, strict=True)
    )
    [response] = measure_strain_responses([make_atoms(small.primitive)], potential)
    return Computed(small, large, response)


def divisions(found: Computed) -> Iterator[tuple[str, HarmonicCrystal]]:
    """Crystals by the name of their division."""
    yield "nearest", found.small
    rules = impose_sum_rules(found.small, found.response)
    for power in POWERS:
        yield f"r^-{power:g}", rules.distribute(power)


def q_points(scale: float) -> FloatArray:
    """Random q-points (60, 3) of a part of the zone about Γ."""
    return scale * np.random.default_rng(0).uniform(-0.5, 0.5, (N_Q_POINTS, 3))


def errors(crystal: HarmonicCrystal, exact: HarmonicCrystal, scale: float) -> dict[str, float]:
    """Mean errors of acoustic and optical frequencies (THz)."""
    points = q_points(scale)
    wrong = np.abs(
        compute_modes(crystal, points).frequencies - compute_modes(exact, points).frequencies
    )
    return {"acoustic": float(wrong[:, :3].mean()), "optical": float(wrong[:, 3:].mean())}


def numbers(record: ChiralityRecord) -> dict[str, FloatArray]:
    """What the score is made of."""
    return {
        "tensor": np.array(record.tensor),
        "splitting": np.array(record.splitting_linear),
        "helicity": np.array([record.mean_optical_helicity]),
    }


def rows(name: str, potential: Potential) -> Iterator[dict[str, Any]]:
    """One row per division of one crystal."""
    found = compute_crystal(name, potential)
    exact = impose_sum_rules(found.large, found.response).crystal
    wanted = numbers(analyze_force_constants(exact, ANALYSIS).record)
    kinds = dict(divisions(found))
    records = {
        division: numbers(analyze_force_constants(crystal, ANALYSIS).record)
        for division, crystal in kinds.items()
    }
    for division, crystal in kinds.items():
        yield {
            "crystal": name,
            "atoms": len(found.small.supercell),
            "atoms, large": len(found.large.supercell),
            "division": division,
            **{f"{k}, zone": v for k, v in errors(crystal, exact, 1.0).items()},
            **{f"{k}, near Γ": v for k, v in errors(crystal, exact, NEAR).items()},
            **compare_numbers(records[division], wanted),
            "spread": compare_numbers(records[division], records[MAIN]),
        }


def compare_numbers(
    found: dict[str, FloatArray], wanted: dict[str, FloatArray]
) -> dict[str, float]:
    """Relative difference of each quantity."""
    return {name: relative(found[name], value) for name, value in wanted.items()}


def relative(found: FloatArray, wanted: FloatArray) -> float:
    """Length of the difference in units of the wanted vector; NaN where that is zero."""
    size = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(found - wanted)) / size if size > 1e-12 else np.nan


def main() -> None:
    """Compute and print the table, and its means over the crystals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--crystals", nargs="+", default=CRYSTALS)
    parser.add_argument("--potential", default=PotentialSettings().name)
    options = parser.parse_args()
    potential = load_potential(options.potential)
    found = [row for name in options.crystals for row in rows(name, potential)]
    table = pd.DataFrame(found).drop(columns="spread")
    print(table.round(3).to_markdown(index=False))
    means = table.drop(columns=["crystal", "atoms", "atoms, large"]).groupby("division")
    print(f"\n{means.mean().round(3).to_markdown()}\n\n{means.median().round(3).to_markdown()}\n")
    print(pd.DataFrame(spreads(found)).to_markdown(index=False))


def spreads(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """How well the spread between the main division and another one tells the error of the main."""
    main = {row["crystal"]: row for row in found if row["division"] == MAIN}
    for division in dict.fromkeys(row["division"] for row in found):
        for quantity in ("tensor", "splitting", "helicity"):
            pairs = [
                (row["spread"][quantity], main[row["crystal"]][quantity])
                for row in found
                if row["division"] == division and division != MAIN
            ]
            known = [pair for pair in pairs if not np.isnan(pair).any()]
            if known:
                spread, error = np.array(known).T
                yield {
                    "other division": division,
                    "quantity": quantity,
                    "crystals": len(known),
                    "median spread": round(float(np.median(spread)), 3),
                    "median error": round(float(np.median(error)), 3),
                    "errors within the spread (%)": round(100 * float(np.mean(error <= spread))),
                    "within twice (%)": round(100 * float(np.mean(error <= 2 * spread))),
                }


if __name__ == "__main__":
    main()
