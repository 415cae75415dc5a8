"""How often the rule for metals is wrong, against calculated band gaps.

    python -m benchmarks.metals --reference DIR

DIR holds ``mp_hull_by_id.parquet``: formulas and band gaps of the Materials Project (PBE). A gap
below 0.05 eV is that of a metal.
"""

import argparse
from pathlib import Path

import pandas as pd

from tasks.crystals.curation import find_charge_balance
from tasks.crystals.metals import is_metal


def count_errors(table: pd.DataFrame) -> dict[str, float]:
    """Precision and recall of a rule, and the share of the insulators that it takes for metals."""
    told, true = table["told"], table["metal"]
    return {
        "crystals": len(table),
        "metals": true.mean(),
        "precision": true[told].mean(),
        "recall": told[true].mean(),
        "insulators lost": told[~true].mean(),
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of the file")
    table = pd.read_parquet(parser.parse_args().reference / "mp_hull_by_id.parquet")
    table = table[table["band_gap"].notna()]
    table["metal"] = [is_metal(*pair) for pair in table[["formula", "band_gap"]].to_numpy()]
    balance = table["formula"].map(find_charge_balance)
    rules = {
        "all elements are metals": balance == "metallic",
        "or no states add up to zero": balance.isin(["metallic", "none"]),
        "the rule": table["formula"].map(is_metal),
    }
    rows = {name: count_errors(table.assign(told=told)) for name, told in rules.items()}
    print(pd.DataFrame(rows).T.round(3).to_markdown())


if __name__ == "__main__":
    main()
