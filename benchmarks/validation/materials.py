"""Agreement with a reference, one row per material, potential and reference.

    python -m benchmarks.validation.materials

Reads the results of the other scripts and writes ``results/materials.parquet``, from which the
warnings of the screening can be calibrated. Columns that a reference cannot fill are empty. What
pages of the site tell of validated crystals goes to ``data/validated_crystals.csv``.

| column | meaning |
|---|---|
| reference | the script whose reference it is |
| class_agrees | symmetry class of the relaxed crystal, and the helicity wave where both have one |
| stable_dft, stable | verdicts of the reference (lowest frequency) and of the screening |
| stability_agrees | whether they are the same |
| decidable | whether the reference can tell (below) |
| leading_sign_agrees | sign of the largest helicity of a sharp mode (gap, size: 0.1 THz, 0.1 ħ) |
| momentum_same_sign | share of sharp modes with l above 0.1 ħ whose l points to the same side |
| frequency_mae, momentum_mae, helicity_mae | THz, ħ, ħ |

The list of stability takes the lowest frequency of the whole zone, with the false instabilities of
interpolation; the screening judges q-points commensurate with the supercell. Two sorts of its
crystals tell nothing of the potential: those between -0.1 and -0.5 THz there, where polytypes of
silicon carbide and zinc sulphide are found, and those that are stable here, unstable there, and
unstable here too when judged as there (`min_frequency_between`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from benchmarks.validation.crystals import STABILITY_TOLERANCE
from tasks.symmetry import classify_space_group

RESULTS = Path(__file__).parent / "results"
VALIDATED = Path(__file__).parents[2] / "data" / "validated_crystals.csv"
NOISE = -0.5  # THz: lowest frequencies of the phonon database between this and zero tell nothing
REFERENCES = ("pbe_frequencies", "dft_modes", "dfpt_eigenvectors", "stability")
COLUMNS = (
    "material_id",
    "formula",
    "space_group_dft",
    "space_group",
    "n_atoms",
    "potential",
    "reference",
    "class_agrees",
    "wave_dft",
    "wave",
    "stable_dft",
    "stable",
    "stability_agrees",
    "decidable",
    "leading_sign_agrees",
    "momentum_same_sign",
    "n_momentum",
    "frequency_mae",
    "momentum_mae",
    "helicity_mae",
    "min_frequency_dft",
    "min_frequency",
    "min_frequency_between",
    "least_stiffness",
    "volume_error",
    "n_supercell_atoms",
)

SHOWN = (
    "potential",
    "formula",
    "space_group",
    "reference",
    "stability_agrees",
    "leading_sign_agrees",
    "frequency_mae",
)


def read_results(
    folder: Path = RESULTS, names: Sequence[str] = REFERENCES
) -> dict[str, pd.DataFrame]:
    """Rows with numbers of each script that has run."""
    paths = {name: folder / f"{name}.parquet" for name in names}
    tables = {name: pd.read_parquet(path) for name, path in paths.items() if path.exists()}
    return {name: table[table["error"].isna()] for name, table in tables.items()}


def per_material(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Bring the rows of one script into the common columns.

    Parameters
    ----------
    name : str
        Of the script.
    table : pandas.DataFrame
        Its rows.

    Returns
    -------
    pandas.DataFrame
        With `COLUMNS`; comparisons of a reference with another one are left out.
    """
    rows = table[table["potential"] != "dft"].assign(reference=name)
    if "space_group_dft" not in rows:
        # These structures relax in their space group: cells and fractions are fixed by it.
        rows = rows.assign(space_group_dft=rows["space_group"])
    stable = rows["min_frequency_dft"] >= -STABILITY_TOLERANCE
    rows = rows.assign(stable_dft=stable, stable=rows["stable"].astype(bool))
    agrees = rows["stable"] == rows["stable_dft"]
    rows = rows.assign(stability_agrees=agrees, class_agrees=_class_agrees(rows))
    rows = rows.assign(decidable=~by_definition(rows) & ~_unclear(name, rows))
    return rows.reindex(columns=list(COLUMNS))


def select_for_pages(merged: pd.DataFrame) -> pd.DataFrame:
    """Bring the merged table into what pages show; verdicts that cannot be told are empty.

    Parameters
    ----------
    merged : pandas.DataFrame
        Rows of `per_material`.

    Returns
    -------
    pandas.DataFrame
        Without potentials that no screening offers for more than smoke tests.
    """
    rows = merged[merged["potential"] != "chgnet"]
    rows = rows.assign(
        formula=[Composition(formula).reduced_formula for formula in rows["formula"]],
        space_group=rows["space_group_dft"].astype(int),
        stability_agrees=rows["stability_agrees"].where(rows["decidable"].astype(bool)),
        frequency_mae=rows["frequency_mae"].round(3),
    )
    told = rows[list(SHOWN)].dropna(how="all", subset=list(SHOWN[4:]))
    return told.sort_values(list(SHOWN[:4]), ignore_index=True)


def contradicted(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Rows that are stable here and unstable in the reference."""
    return rows["stable"].astype(bool) & (rows["min_frequency_dft"] < -STABILITY_TOLERANCE)


def by_definition(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Contradicted rows that are unstable here too when the whole zone is interpolated."""
    if "min_frequency_between" not in rows:
        return contradicted(rows) & False
    return contradicted(rows) & (rows["min_frequency_between"] < -STABILITY_TOLERANCE)


def _unclear(name: str, rows: pd.DataFrame) -> "pd.Series[bool]":
    """Rows of the list of stability that lie where its own noise does."""
    between = rows["min_frequency_dft"].between(NOISE, -STABILITY_TOLERANCE, inclusive="neither")
    return between & (name == "stability")


def _class_agrees(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether symmetry classes agree, and waves where both are known."""
    first, second = (
        rows[column].astype(int).map(lambda number: classify_space_group(number).chirality_class)
        for column in ("space_group_dft", "space_group")
    )
    same = first == second
    return same & (rows["wave_dft"] == rows["wave"]) if "wave" in rows else same


def main() -> None:
    """Write the table and print what agrees."""
    frames = [per_material(name, table) for name, table in read_results().items()]
    merged = pd.concat(frames, ignore_index=True)
    for column in ("leading_sign_agrees", "class_agrees", "stability_agrees", "stable"):
        merged[column] = merged[column].astype("boolean")
    merged.to_parquet(RESULTS / "materials.parquet")
    select_for_pages(merged).to_csv(VALIDATED, index=False)
    flags = ["class_agrees", "stability_agrees", "leading_sign_agrees"]
    grouped = merged.astype(dict.fromkeys(flags, "Float64")).groupby(["reference", "potential"])
    print(grouped[flags].agg(["mean", "count"]).replace({np.nan: None}).round(2).to_markdown())


if __name__ == "__main__":
    main()
