"""Table of the vertices of the convex hull, by energies of the default potential.

    python -m benchmarks.hull --reference DIR --work DIR [--workers 2]

The crystals are those of ``mp20.parquet`` and ``stability/mp_large_for_hull.parquet`` in the folder
of reference data (Materials Project, CC BY 4.0). Five steps, each of which goes on where an earlier
call stopped, from files in the folder of work:

1. ``single``: energies of all crystals as given, in float32, with the corrections of the Materials
   Project (`tasks.thermodynamics.corrections`).
2. ``shifted``: a brief relaxation of all crystals of an element whose given geometries are far from
   those of the potential.
3. ``order.parquet``: distances from the hull of the energies of step 1; what lies within the window
   is relaxed, the nearest first, and before it a random sample of all.
4. ``relaxed``: a brief relaxation of these.
5. The vertices of the hull of the lower energies go into the table, also when step 4 is not
   finished (``--table-only`` does this step alone).

A crystal farther from the hull than its relaxation lowers its energy cannot become a vertex; the
sample tells how much that is.
"""

import argparse
import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from ase.data import atomic_numbers
from rich.progress import track

from potentials import Potential, load_potential
from potentials.registry import load_card
from tasks.crystals.structures import reduce_formula, standardize
from tasks.failures import RemediableError
from tasks.relaxation import RelaxationSettings, relax
from tasks.screening.settings import PotentialSettings
from tasks.thermodynamics.corrections import compute_correction
from tasks.thermodynamics.hull import VERTEX_SCHEMA, VERTICES, find_distances, make_phase

DTYPE: Final = "float32"
SYMPREC: Final = 0.01  # Å
# What remains of the energy at these limits is below 0.1 meV/atom.
LIMITS: Final = RelaxationSettings(max_force=0.02, max_stress=1e-3, max_evaluations=40)
WINDOW: Final = 0.05  # eV/atom above the hull of crystals as given
N_SAMPLE: Final = 400
# The given geometries of ytterbium are those of the trivalent ion (pseudo-potential Yb_3, since
# 2023); the potential learned the divalent one (Yb_2), whose metal has 41 Å^3 per atom, not 30.
SHIFTED: Final = "Yb"
_PART: Final = {"single": 400, "shifted": 50, "relaxed": 50}  # crystals in a file
_STRUCTURE: Final = ["material_id", "lattice", "atomic_numbers", "frac_coords"]

Row = dict[str, Any]
Rows = list[Row]
Part = tuple[Path, Rows]


def read_crystals(reference: Path) -> pd.DataFrame:
    """Crystals by name."""
    files = ("mp20.parquet", "stability/mp_large_for_hull.parquet")
    tables = [pd.read_parquet(reference / name, columns=_STRUCTURE) for name in files]
    return pd.concat(tables).set_index("material_id", drop=False)


def make_crystal(row: Row) -> Atoms:
    """Idealised primitive cell of a row; the cell as given where spglib finds no group."""
    atoms = Atoms(
        numbers=row["atomic_numbers"],
        cell=np.reshape(row["lattice"], (3, 3)),
        scaled_positions=np.reshape(row["frac_coords"], (-1, 3)),
        pbc=True,
    )
    try:
        return standardize(atoms, SYMPREC)
    except RemediableError:
        return atoms


def select_shifted(crystals: pd.DataFrame) -> pd.DataFrame:
    """Crystals whose given geometry is far from that of the potential."""
    number = atomic_numbers[SHIFTED]
    return crystals[[number in numbers for numbers in crystals["atomic_numbers"]]]


def evaluate_rows(rows: Rows) -> Rows:
    """Energies of crystals as given."""
    crystals = [make_crystal(row) for row in rows]
    energies = _load().evaluate(crystals).energies
    return [
        _make_row(row, atoms, energy / len(atoms), 1, "")
        for row, atoms, energy in zip(rows, crystals, energies, strict=True)
    ]


def relax_rows(rows: Rows) -> Rows:
    """Energies of crystals relaxed inside their space groups."""
    found = relax([make_crystal(row) for row in rows], _load(), LIMITS)
    return [
        _make_row(row, one.atoms, one.energy, one.n_evaluations, one.reason)
        for row, one in zip(rows, found, strict=True)
    ]


def _load() -> Potential:
    return load_potential(PotentialSettings().name, dtype=DTYPE)


def _make_row(row: Row, atoms: Atoms, energy: float, n: int, reason: str) -> Row:
    """What is kept of an evaluation; energies in eV/atom."""
    return {
        "material_id": row["material_id"],
        "formula": reduce_formula(atoms),
        "n_atoms": len(atoms),
        "volume": atoms.get_volume() / len(atoms),
        "energy": float(energy),
        "correction": compute_correction(atoms),
        "n_evaluations": n,
        "reason": reason,
    }


def compute_parts(
    compute: Callable[[Rows], Rows], crystals: pd.DataFrame, folder: Path, n_workers: int
) -> None:
    """Write the results of consecutive crystals into files, without those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    size = _PART[folder.name]
    paths = {folder / f"{i // size:05d}.parquet": i for i in range(0, len(crystals), size)}
    missing = {path: i for path, i in paths.items() if not path.exists()}
    parts = ((path, crystals.iloc[i : i + size].to_dict("records")) for path, i in missing.items())
    with multiprocessing.get_context("spawn").Pool(n_workers) as pool:
        done = pool.imap_unordered(partial(_write_part, compute), parts)
        for _ in track(done, folder.name, total=len(missing)):
            pass


def _write_part(compute: Callable[[Rows], Rows], part: Part) -> None:
    """Compute a part and write its file, which is complete or absent."""
    path, rows = part
    write_atomically(pd.DataFrame(compute(rows)), path)


def write_atomically(rows: pd.DataFrame, path: Path) -> None:
    """Write a table beside its name first."""
    beside = path.with_suffix(".tmp")
    rows.to_parquet(beside, index=False, compression="zstd")
    beside.replace(path)


def read_parts(folder: Path) -> pd.DataFrame:
    """Results so far, by name of the crystal."""
    parts = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    return pd.concat(parts).set_index("material_id") if parts else pd.DataFrame()


def compute_distances(rows: pd.DataFrame) -> pd.Series:
    """Energy above the hull of all (eV/atom) by name; 0 for its vertices."""
    energies = rows["energy"] + rows["correction"]
    phases = map(make_phase, rows.index, rows["formula"], energies)
    found = track(find_distances(phases), "hull", total=len(rows))
    return pd.Series({phase.name: above for phase, above in found}, name="above_hull")


def write_order(single: pd.DataFrame, path: Path) -> None:
    """Choose the crystals that are relaxed, the random sample before those near the hull."""
    above = compute_distances(single)
    sample = above.sample(N_SAMPLE, random_state=1)
    near = above.drop(sample.index).sort_values()
    order = pd.concat([sample.to_frame().assign(sampled=True), near[near < WINDOW].to_frame()])
    write_atomically(
        order.fillna({"sampled": False}).rename_axis("material_id").reset_index(), path
    )


def combine_energies(single: pd.DataFrame, relaxed: pd.DataFrame) -> pd.DataFrame:
    """Rows of the relaxed crystals in place of the others, where the relaxation came to an end."""
    if relaxed.empty:
        return single.assign(relaxed=False)
    done = relaxed[relaxed["reason"] == "converged"]
    rest = single.drop(done.index)
    return pd.concat([done.assign(relaxed=True), rest.assign(relaxed=False)])


def read_energies(work: Path) -> pd.DataFrame:
    """Rows of all crystals as far as they are computed, each by the best energy there is."""
    parts = (read_parts(work / name) for name in ("shifted", "relaxed"))
    relaxed = pd.concat(parts)
    relaxed = relaxed[~relaxed.index.duplicated()]
    return combine_energies(read_parts(work / "single"), relaxed)


def write_vertices(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write the table of the vertices that travels with the package."""
    energies = rows["energy"] + rows["correction"]
    lowest = rows.loc[energies.groupby(rows["formula"]).idxmin()]
    above = compute_distances(lowest)
    vertices = rows.loc[above.index[above == 0]].sort_index()
    energies = (vertices["energy"] + vertices["correction"]).round(6)
    columns = [vertices.index, vertices["formula"], energies, vertices["relaxed"]]
    card = load_card(PotentialSettings().name)
    told = {"potential": card.name, "checkpoint_digest": card.digest}
    schema = VERTEX_SCHEMA.with_metadata(told)
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
    pq.write_table(pa.table(arrays, schema=schema), path, compression="zstd", compression_level=19)
    return vertices


def main() -> None:
    """Go on with what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of reference data")
    parser.add_argument("--work", type=Path, required=True, help="folder of results so far")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--table-only", action="store_true", help="compute nothing new")
    parser.add_argument("--output", type=Path, default=VERTICES, help="table of the vertices")
    args = parser.parse_args()
    order = args.work / "order.parquet"
    if not args.table_only:
        crystals = read_crystals(args.reference)
        compute_parts(evaluate_rows, crystals, args.work / "single", args.workers)
        compute_parts(relax_rows, select_shifted(crystals), args.work / "shifted", args.workers)
        if not order.exists():
            write_order(read_parts(args.work / "single"), order)
        chosen = crystals.loc[pd.read_parquet(order)["material_id"]]
        compute_parts(relax_rows, chosen, args.work / "relaxed", args.workers)
    vertices = write_vertices(read_energies(args.work), args.output)
    print(f"{len(vertices)} vertices, {vertices['relaxed'].sum()} of them relaxed")


if __name__ == "__main__":
    main()
