"""Share of the materials called reliable that agree with density functional theory.

    python -m benchmarks.validation.calibration --catalogue data/catalogue

Two comparisons. The first takes the results of the other scripts of this folder, one row per
material and potential with class, stability and sign of the leading helicity against DFT; the rules
see what these rows tell (stability, lowest frequency, space groups, wave, volume, and whether the
other potential contradicts). The second takes the released catalogue with all its warnings, and
the lowest frequencies of the phonon database (PBEsol) in ``DIR/lists``: stability alone, without
the crystals whose frequency there lies where the noise of that list does.
Only what the rules may see enters them; the DFT verdict does not.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.validation.agreement import Share
from benchmarks.validation.error_bars import PAIR
from benchmarks.validation.materials import per_material, read_results
from benchmarks.validation.released_stability import OUTPUT
from tasks.results.trust import JUDGED, RULES, assess_reliability
from tasks.symmetry import classify_space_group

SOFT_LIMITS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)  # THz
VERDICTS = ("class_agrees", "stability_agrees", "leading_sign_agrees")


def judged(row: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """Columns of the catalogue that a row of the validation tells.

    Parameters
    ----------
    row : dict
        Of the potential that is judged.
    other : dict or None
        Of another potential about the same material.

    Returns
    -------
    dict
        For `tasks.results.trust.assess_reliability`; what is not known is empty, and warns of
        nothing.
    """
    known = {name: value for name, value in row.items() if not _missing(value)}
    start, found = known.get("space_group_dft"), known.get("space_group")
    given = classify_space_group(int(start)) if start else None
    return dict.fromkeys(JUDGED) | {
        "formula": known.get("formula"),
        "stable": bool(known["stable"]),
        "min_frequency_commensurate": known.get("min_frequency", 0.0),
        "symmetry_changed": None not in (start, found) and start != found,
        "space_group_number_relaxed": found,
        "chirality_class": given and given.chirality_class,
        "helicity_wave": given and given.helicity_wave,
        "helicity_wave_found": known.get("wave"),
        # The cell of the reference stands for the measured one.
        "measured_volume_change": known.get("volume_error"),
        "potentials_disagree": other is not None and _contradicts(known, other),
        "nac": True,
    }


def _contradicts(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two potentials differ in stability or wave."""
    wave, another = row.get("wave"), other.get("wave")
    waves = not _missing(wave) and not _missing(another) and wave != another
    return waves or (not _missing(other["stable"]) and bool(other["stable"]) != row["stable"])


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def agrees(row: dict[str, Any]) -> bool:
    """Whether all verdicts that DFT tells are those of DFT."""
    return all(bool(row[name]) for name in VERDICTS if not _missing(row[name]))


def assessed(results: pd.DataFrame) -> pd.DataFrame:
    """Materials of the validation with the warnings they would carry."""
    rows: list[dict[str, Any]] = results[results["stable"].notna()].to_dict("records")  # type: ignore[assignment]
    found = []
    for row in rows:
        others = [
            r
            for r in rows
            if r["material_id"] == row["material_id"]
            and r["reference"] == row["reference"]
            and r["potential"] != row["potential"]
        ]
        # The second opinion of the docs first, others where it is not known.
        others.sort(key=lambda other: other["potential"] not in PAIR)
        trust = assess_reliability(judged(row, others[0] if others else None))
        found.append(
            row
            | {"reliable": trust.reliable, "warnings": trust.warnings, "agrees": agrees(row)}
            | {"compared": bool(others)}
        )
    return pd.DataFrame(found)


def by_potential(found: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Shares of agreement of each potential and reference."""
    for (potential, reference), rows in found.groupby(["potential", "reference"]):
        yield {"potential": potential, "reference": reference} | shares(rows)
        if not rows["decidable"].all():
            title = f"{reference}, decidable"
            yield {"potential": potential, "reference": title} | shares(rows[rows["decidable"]])
    for potential, rows in found[found["decidable"]].groupby("potential"):
        yield {"potential": potential, "reference": "all, decidable"} | shares(rows)


def shares(rows: pd.DataFrame) -> dict[str, str]:
    """Agreement of all, of the reliable, and of the others."""
    groups = {"all": rows, "reliable": rows[rows["reliable"]], "others": rows[~rows["reliable"]]}
    return {name: str(Share(int(g["agrees"].sum()), len(g))) for name, g in groups.items()}


def stability(catalogue: Path) -> pd.DataFrame:
    """Released materials whose stability the phonon database decides."""
    rows = pd.read_parquet(OUTPUT)
    columns = ["material_id", "formula", "warnings", "min_frequency_commensurate"]
    found = pd.read_parquet(catalogue / "chirality.parquet", columns=columns)
    decided = rows[rows["decidable"]].merge(found, on="material_id")
    return decided.assign(reliable=decided["reliable"].eq(True))


def by_limit(found: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Agreement of stable materials above each limit of the lowest frequency."""
    others = found["warnings"].map(lambda codes: not (set(codes) - {"soft"}) & _GRAVE)
    calm = found[found["stable"].eq(True) & others]
    for limit in SOFT_LIMITS:
        above = calm[calm["min_frequency_commensurate"] >= limit]
        yield {"lowest frequency from (THz)": limit} | {
            "agree": str(Share(int(above["agrees"].sum()), len(above)))
        }


_GRAVE = frozenset(rule.code for rule in RULES if rule.grave)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--catalogue", type=Path, required=True, help="folder of the release")
    options = parser.parse_args()
    tables = read_results()
    if tables:
        merged = [per_material(name, table) for name, table in tables.items()]
        found = assessed(pd.concat(merged, ignore_index=True))
        print("Class, stability and sign against DFT, share that agrees (95 % interval)\n")
        print(pd.DataFrame(by_potential(found)).to_markdown(index=False))
        wrong = found[found["reliable"] & ~found["agrees"] & found["decidable"]]
        print(f"\nReliable, but wrong: {', '.join(wrong['formula'] + ' ' + wrong['potential'])}\n")
    released = stability(options.catalogue)
    print("Stability of released materials against the phonon database (PBEsol)\n")
    print(pd.DataFrame([shares(released)]).to_markdown(index=False))
    print()
    print(pd.DataFrame(by_limit(released)).to_markdown(index=False))
    wrong = released[released["reliable"] & ~released["agrees"]]
    print(f"\nReliable, but wrong: {', '.join(wrong['formula'])}")


if __name__ == "__main__":
    main()
