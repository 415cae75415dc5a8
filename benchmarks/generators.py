"""Three ways to propose chiral crystals, compared: the model, independent sites, exchange of ions.

    python -m benchmarks.generators mp20.parquet -n 300 -o results/generators

Known are the crystals of the Parquet file. All proposals are relaxed inside their space group with
the same settings, and are in groups of chiral crystals before. Exchanges are made in known crystals
of these groups. Running it again goes on where it was stopped.
"""

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flows.generation import generate
from flows.server import use_prefect_api
from potentials import load_potential
from tasks.crystals.rows import read_atoms
from tasks.crystals.structures import check_crystal, standardize
from tasks.crystals.substitution import substitute_ions
from tasks.failures import RemediableError
from tasks.generation.assessment import Assessment, AssessmentSettings, assess_source
from tasks.generation.candidates import CandidateSettings
from tasks.generation.metrics import Profile, compare_profiles
from tasks.generation.sampling import SOHNCKE, Conditions
from tasks.generation.settings import GenerationSettings
from tasks.relaxation import Relaxation, relax
from tasks.thermodynamics.evidence import load_hull
from tasks.tolerances import AS_GIVEN
from tasks.training.sequence_data import COLUMNS

KNOWN, COSTS, RATES = "known.parquet", "costs.json", "rates.json"
SAMPLE = 1000  # known chiral crystals for distances of distributions
FIRST, PER_PARENT, THRESHOLD = 20, 5, 0.001  # candidates of a crystal, those taken; probability
ROWS = {
    "structure and composition valid": "valid",
    "in a group of chiral crystals": "sohncke",
    "in P1": "p1",
    "unique": "unique",
    "unique and novel": "novel",
    "the same, on the hull (S.U.N.)": "stable",
    "the same, not in P1 (S.S.U.N.)": "symmetric",
    "the same, at most 0.1 eV/atom above (MSUN)": "metastable",
}
DISTANCES = {
    "density": "density, Wasserstein (g/cm³)",
    "n_elements": "number of elements, Wasserstein",
    "space_groups": "space groups, chi-square",
}


@dataclass(frozen=True)
class Proposals:
    """What a generator made.

    Attributes
    ----------
    name : str
        Of the generator.
    file : pathlib.Path
        Parquet file of its crystals.
    asked : int
        Proposals, those without a crystal included.
    """

    name: str
    file: Path
    asked: int


def read_known(path: Path) -> pd.DataFrame:
    """Known crystals with the amounts of their reduced formulas."""
    known = pd.read_parquet(path, columns=list(COLUMNS))
    return known.assign(amounts=[reduce_amounts(numbers) for numbers in known["atomic_numbers"]])


def reduce_amounts(numbers: Any) -> tuple[tuple[int, int], ...]:  # noqa: ANN401 - of a table
    """Atomic numbers of a reduced formula, and how often each occurs."""
    counts = Counter(int(number) for number in numbers)
    divisor = math.gcd(*counts.values())
    return tuple(sorted((number, n // divisor) for number, n in counts.items()))


def choose_chiral(known: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Known crystals in groups of chiral crystals, in random order."""
    chiral = known[known["spacegroup_number"].isin(SOHNCKE)]
    return chiral.sample(frac=1, random_state=seed)


def make_atoms(row: Any) -> Any:  # noqa: ANN401 - a row of pandas
    """Crystal of a row of the table."""
    columns = {"numbers": row.atomic_numbers, "cell": row.lattice, "positions": row.frac_coords}
    return read_atoms(columns)


def exchange_ions(known: pd.DataFrame, count: int, seed: int) -> list[Any]:
    """Crystals made by exchange of ions in random known ones, some of each."""
    generator = np.random.default_rng(seed)
    pairs = set(zip(known["amounts"], known["spacegroup_number"], strict=True))
    found: list[Any] = []
    for row in choose_chiral(known, seed).itertuples():
        exchanges = islice(substitute_ions(row.material_id, make_atoms(row), THRESHOLD), FIRST)
        new = [
            made.atoms
            for made in exchanges
            if (reduce_amounts(made.atoms.numbers), row.spacegroup_number) not in pairs
        ]
        chosen = generator.permutation(len(new))[:PER_PARENT]
        found += [new[index] for index in chosen]
        if len(found) >= count:
            break
    return found[:count]


def substitute(known: pd.DataFrame, file: Path, count: int, seed: int) -> None:
    """Write crystals made by exchange of ions, relaxed as those of a generation are."""
    potential = load_potential(load_hull().potential)
    made = exchange_ions(known, count, seed)
    relaxed = relax(
        [standardize(atoms, AS_GIVEN) for atoms in made],
        potential,
        CandidateSettings().relaxation,
    )
    rows = [
        {
            "material_id": f"exchange-{index}",
            "lattice": found.atoms.cell.array.ravel(),
            "atomic_numbers": found.atoms.numbers,
            "frac_coords": found.atoms.get_scaled_positions().ravel(),
        }
        for index, found in enumerate(relaxed)
        if is_crystal(found)
    ]
    pd.DataFrame(rows).to_parquet(file, index=False)


def is_crystal(found: Relaxation) -> bool:
    """Whether a relaxation did not end in a collapse."""
    try:
        check_crystal(found.atoms)
    except RemediableError:
        return False
    return bool(np.isfinite(found.energy)) and "volume" not in found.reason


@contextmanager
def count_seconds(folder: Path, name: str) -> Iterator[None]:
    """Add the CPU time of this process to what a generator took, earlier runs included."""
    file = folder / COSTS
    costs = json.loads(file.read_text()) if file.exists() else {}
    start = time.process_time()
    try:
        yield
    finally:
        costs[name] = costs.get(name, 0.0) + time.process_time() - start
        file.write_text(json.dumps(costs))


def make_proposals(known: pd.DataFrame, count: int, seed: int, folder: Path) -> list[Proposals]:
    """Let all generators propose, unless they did."""
    kinds = {"model": False, "independent sites": True}
    found = [Proposals(name, folder / f"{name.split()[0]}.parquet", count) for name in kinds]
    with use_prefect_api():
        for made in found:
            if not made.file.exists():
                conditions = Conditions(independent=kinds[made.name])
                settings = GenerationSettings(number=count, seed=seed, conditions=conditions)
                with count_seconds(folder, made.name):
                    generate(made.file, settings)
    exchanged = Proposals("exchange of ions", folder / "exchange.parquet", count)
    if not exchanged.file.exists():
        with count_seconds(folder, exchanged.name):
            substitute(known, exchanged.file, count, seed)
    return [*found, exchanged]


def assess(made: Proposals, known: pd.DataFrame, folder: Path) -> Assessment:
    """Assess the crystals of a generator against the known ones of their compositions."""
    numbers = pd.read_parquet(made.file, columns=["atomic_numbers"])["atomic_numbers"]
    same = known["amounts"].isin(set(map(reduce_amounts, numbers)))
    reference = folder / KNOWN
    known.loc[same, list(COLUMNS)].to_parquet(reference, index=False)
    settings = AssessmentSettings()
    potential = load_potential(load_hull().potential)
    return assess_source(
        made.file, reference if same.any() else None, settings, potential=potential
    )


def tabulate(
    made: Proposals, found: Assessment, known: list[Profile], seconds: float
) -> dict[str, str]:
    """Column of a generator: shares of what was asked for, distances, cost."""
    counts = found.counts
    if not found.has_reference:
        counts["novel"] = counts["unique"]
    shares = {label: f"{100 * counts[name] / made.asked:.1f} %" for label, name in ROWS.items()}
    distances = compare_profiles(found.profiles, known)
    cost = seconds / max(counts["metastable"], 1)
    return {
        "crystals made": f"{100 * counts['records'] / made.asked:.1f} %",
        **shares,
        **{label: f"{distances[name]:.2f}" for name, label in DISTANCES.items()},
        "CPU time of a proposal (s)": f"{seconds / made.asked:.2f}",
        "CPU time of a metastable, unique and novel crystal (s)": f"{cost:.0f}",
    }


def main() -> None:
    """Make the proposals, assess them, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("known", type=Path, help="Parquet file of known crystals")
    parser.add_argument("-n", "--number", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    known = read_known(args.known)
    proposals = make_proposals(known, args.number, args.seed, args.output)
    profiles = [
        Profile.read(make_atoms(row), row.spacegroup_number)
        for row in choose_chiral(known, args.seed).head(SAMPLE).itertuples()
    ]
    costs = json.loads((args.output / COSTS).read_text())
    columns = {
        made.name: tabulate(made, assess(made, known, args.output), profiles, costs[made.name])
        for made in proposals
    }
    (args.output / RATES).write_text(json.dumps(columns, indent=1))
    print(pd.DataFrame(columns).to_markdown())


if __name__ == "__main__":
    main()
