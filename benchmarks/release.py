"""Write the tables of a dataset that are worth publishing into one small folder.

    python benchmarks/release.py DATASET data/catalogue

Kept is what the program found; left out are the structures of the source, force constants, spectra,
and modes anywhere but at the named q-points of the ranked materials. The catalogue of the dataset
is built anew before, so that warnings and ranks are those of the present rules.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.results import rank_materials, read_catalog
from tasks.results.building import build_catalog
from tasks.results.catalogue import UNNAMED
from tasks.results.ranking import PURPOSES, TERMS
from tasks.storage import CATALOG_TABLES, Dataset

_LEFT_OUT: Final[Mapping[str, Sequence[str]]] = {
    "chirality": (
        "helicity_dos",
        "helicity_dos_absolute",
        "helicity_harmonics",
        "tensor_windows",
        "window_edges",
        "source",
    ),
    "materials": ("numbers", "cell", "positions", "source", "born_charges", "dielectric_tensor"),
    "relaxations": ("born_charges", "dielectric_tensor"),
    "phonons": (),
    "failures": (),
    "runs": ("host", "source"),
}
_N_MODES: Final = 100


def write_release(dataset: Dataset, folder: Path, n_modes: int = _N_MODES) -> dict[str, int]:
    """Write the folder.

    Parameters
    ----------
    dataset : Dataset
        Finished, or as far as it is.
    folder : pathlib.Path
        Where the Parquet files go.
    n_modes : int
        Ranked materials, the best first, whose modes are kept.

    Returns
    -------
    dict
        Bytes by file.
    """
    build_catalog(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    kept = _screened(dataset)
    for name, left_out in _LEFT_OUT.items():
        table = pq.read_table(_file(dataset, name)).drop_columns(list(left_out))
        if "material_id" in table.column_names:
            table = table.filter(pc.is_in(table["material_id"], kept))
        if "charge_model" in table.column_names:
            table = without_given_charges(table)
        _write(table, folder / f"{name}.parquet")
    candidates = rank_materials(read_catalog(dataset.root, "chirality"))
    _write(_candidates(candidates), folder / "candidates.parquet")
    _write(
        _named_modes(dataset, list(candidates["material_id"][:n_modes])), folder / "modes.parquet"
    )
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))}


def without_given_charges(table: pa.Table) -> pa.Table:
    """Empty Born charges and dielectric tensors that are inputs; predicted ones stay."""
    predicted = pc.is_valid(table["charge_model"])
    for name in ("born_charges", "dielectric_tensor"):
        rows = zip(table[name].to_pylist(), predicted.to_pylist(), strict=True)
        values = pa.array([row if kept else None for row, kept in rows], table[name].type)
        table = table.set_column(table.column_names.index(name), table.field(name), values)
    return table


def _file(dataset: Dataset, table: str) -> Path:
    return dataset.root / "catalog" / f"{table}.parquet"


def _screened(dataset: Dataset) -> pa.Array:
    """Materials that a run took up, whatever became of them."""
    table = pq.read_table(_file(dataset, "chirality"), columns=["material_id", "outcome"])
    taken = pc.is_in(table["outcome"], pa.array(["screened", "failed"]))
    return table.filter(taken)["material_id"].combine_chunks()


def _candidates(found: pd.DataFrame) -> pa.Table:
    """The ranking, with the numbers a reader looks at first."""
    names = [name for name in CATALOG_TABLES["chirality"].names if name in _RANKING]
    table = pa.Table.from_pandas(found[names], preserve_index=False)
    chiral = found["chirality_class"].eq("II")
    ranks = {
        "rank": range(1, len(table) + 1),
        "rank_of_class": chiral.groupby(chiral).cumcount() + 1,
    }
    for place, (name, values) in enumerate(ranks.items()):
        table = table.add_column(place, name, pa.array(values, pa.int32()))
    # NaN stands for crystals without an axis.
    circular = pa.array(found["circular"], pa.float64(), from_pandas=True)
    largest = pa.array(found["largest_splitting"], pa.float64())
    return table.append_column("largest_circular_splitting", circular).append_column(
        "largest_splitting", largest
    )


_RANKING: Final = frozenset(
    (
        "material_id",
        "formula",
        "space_group_number",
        "space_group_symbol",
        "chirality_class",
        "helicity_wave_found",
        "score",
        "raw_score",
        "trust",
        "reliable",
        "shortlisted",
        "warnings",
        "mean_optical_angular_momentum",
        "mean_optical_helicity",
        "explanation",
        *(name for term in TERMS for name in term.reads),
        *(purpose.name for purpose in PURPOSES),
    )
)


def _named_modes(dataset: Dataset, materials: Sequence[str]) -> pa.Table:
    """Modes at the named q-points of some materials."""
    table = pq.read_table(_file(dataset, "modes"), filters=pc.field("material_id").isin(materials))
    named = pc.invert(pc.is_in(table["q_label"], pa.array(UNNAMED)))
    return table.filter(named).drop_columns(["segment", "path_distance"])


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=19)


def main() -> None:
    """Write, and print the sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder of a dataset")
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument("--modes", type=int, default=_N_MODES, help="materials with modes")
    options = parser.parse_args()
    sizes = write_release(Dataset(options.dataset), options.output, options.modes)
    for name, size in sizes.items():
        print(f"{name:24s} {size / 1024:9.1f} KiB")
    print(f"{'all':24s} {sum(sizes.values()) / 1024:9.1f} KiB")


if __name__ == "__main__":
    main()
