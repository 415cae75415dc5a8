"""Silicides, carbides and intermetallics: potentials against the phonon database (PBEsol).

    python -m benchmarks.validation.families --reference DIR

DIR holds what `stability` reads. Taken are all crystals of the list, of any symmetry, whose
elements are metals, or metals and one of silicon and carbon. Few are polar, so that the list's
highest frequencies, which hold the non-analytical term, can be compared, too. Its lowest ones are
those of the whole zone, interpolated; so are those here (`extremes_between`). Part of the
deviation is the functional.
Rows that are in the output already are not computed again.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Element

from benchmarks.validation.crystals import (
    SYMPREC,
    Job,
    Row,
    command_line_of_reference,
    compute,
    extend,
    load,
    phonon_settings,
)
from benchmarks.validation.error_bars import PAIR
from benchmarks.validation.stability import listed, structure
from tasks.symmetry import find_space_group_number

FAMILIES = {(): "intermetallic", ("C",): "carbide", ("Si",): "silicide"}


def family(numbers: Iterable[int]) -> str | None:
    """Tell the family of a crystal by its elements.

    Parameters
    ----------
    numbers : iterable of int
        Atomic numbers of its atoms.

    Returns
    -------
    str or None
        None for elements alone and for all other compounds.
    """
    elements = {Element.from_Z(int(number)) for number in numbers}
    others = tuple(element.symbol for element in elements if not element.is_metal)
    return FAMILIES.get(others) if len(elements) > 1 else None


def chosen(reference: Path) -> pd.DataFrame:
    """Crystals of the list that belong to a family, small cells first."""
    table = listed(reference)
    found = table.assign(family=table["atomic_numbers"].map(family)).dropna(subset="family")
    return found.sort_values(["nsites_primitive", "material_id"])


def measured(job: Job) -> Row:
    """Lowest and highest frequencies of one crystal."""
    row, start = job["row"], structure(job["row"])
    computed = compute(start, load(job["potential"]), phonon_settings(job["max_atoms"]))
    lowest, highest = computed.extremes_between()
    return {
        "family": row["family"],
        "formula": start.get_chemical_formula(empirical=True),
        "space_group_dft": int(row["phonondb_spacegroup"]),
        "space_group": find_space_group_number(computed.atoms, SYMPREC),
        "volume_change": float(computed.atoms.get_volume() / start.get_volume() - 1),
        "min_frequency_dft": float(row["min_freq_thz"]),
        "max_frequency_dft": float(row["max_freq_thz"]),
        "min_frequency": computed.min_frequency(),
        "min_frequency_between": lowest,
        "max_frequency": highest,
        "stable": computed.stable(),
        "n_supercell_atoms": len(computed.phonon.supercell),
    }


def main() -> None:
    """Compute what is missing, write it and print means."""
    options = command_line_of_reference(__doc__, "families", PAIR).parse_args()
    jobs: list[Job] = [
        {
            "potential": name,
            "material_id": row["material_id"],
            "row": row,
            "max_atoms": options.max_atoms,
        }
        for name in options.potentials
        for row in chosen(options.reference).to_dict("records")
    ]
    rows = extend(options.output, jobs, measured, workers=options.workers, limit=options.limit)
    rows["shift (%)"] = 100 * (rows["max_frequency"] / rows["max_frequency_dft"] - 1)
    rows["size (%)"] = np.abs(rows["shift (%)"])
    groups = rows.groupby(["potential", "family"])
    print(groups[["shift (%)", "size (%)"]].mean().round(1).to_markdown())


if __name__ == "__main__":
    main()
