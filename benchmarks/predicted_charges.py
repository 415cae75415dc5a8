"""What predicted Born charges would change in a catalogue that was made without them.

    OMP_NUM_THREADS=1 python -m benchmarks.predicted_charges data/catalogue

For each screened crystal the charges of the relaxed cell are chosen as a screening chooses them,
and predicted where it would predict them; then the warnings about charges are counted, before and
after. Prediction is timed on one thread, and compared with what the force constants took.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

from potentials import load_charge_model
from tasks.crystals.rows import read_atoms
from tasks.phonons.charges import choose_charges
from tasks.results.trust import assess_reliability
from tasks.storage import TableFolder

CODES = ("no_born_charges", "charges_unsure")


def predict(row: pd.Series) -> dict[str, object]:
    """Columns that a screening would fill, and the processor seconds of the prediction."""
    atoms, model = read_atoms(row), load_charge_model()
    chosen = choose_charges("predicted", has_given=False, atoms=atoms, band_gap=row["band_gap"])
    if chosen != "predicted":
        return {"chosen": chosen}
    start = time.process_time()
    found = model.predict(atoms)
    return {
        "chosen": chosen,
        "nac": True,
        "nac_source": "predicted",
        "charge_uncertainty": found.uncertainty,
        "charge_crystals": model.card.count_rarest(frozenset(atoms.numbers.tolist())),
        "seconds": time.process_time() - start,
    }


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("catalogue", type=Path, help="folder of tables, such as data/catalogue")
    tables = TableFolder(parser.parse_args().catalogue)
    torch.set_num_threads(1)
    rows = tables.read("chirality").to_pylist()
    relaxed = {row["key"]: row for row in tables.read("relaxations").to_pylist()}
    phonons = {row["key"]: row for row in tables.read("phonons").to_pylist()}
    screened = [row for row in rows if row["outcome"] == "screened"]
    # What is loaded or compiled once is no cost of a crystal.
    crystals = [relaxed[row["relaxation_key"]] | {"band_gap": row["band_gap"]} for row in screened]
    load_charge_model().predict(read_atoms(crystals[0]))
    found = [predict(pd.Series(crystal)) for crystal in crystals]
    print(f"{len(screened)} screened crystals\n")
    stages = {
        "as released": [row["warnings"] for row in screened],
        "by the rule for metals": [assess_reliability(row).warnings for row in screened],
        "with predicted charges": [
            assess_reliability(row | new).warnings for row, new in zip(screened, found, strict=True)
        ],
    }
    counts = {
        name: {code: sum(code in codes for codes in warnings) for code in CODES}
        for name, warnings in stages.items()
    }
    print(pd.DataFrame(counts).T.to_markdown())
    told = pd.DataFrame(found)
    print(f"\n{told['chosen'].value_counts().to_string()}")
    print(f"\nbars (e):\n{told['charge_uncertainty'].describe().round(3).to_string()}")
    known = told["seconds"].notna()
    taken = pd.Series([phonons[row["phonon_key"]]["wall_time"] for row in screened])
    share = told["seconds"].sum() / taken[known].sum()
    print(f"\nprediction: {1e3 * told['seconds'].mean():.0f} ms in the mean,", end=" ")
    print(f"{share:.1%} of the force constants of these crystals")


if __name__ == "__main__":
    main()
