"""Tables of docs/findings.md, from the released Parquet files.

    python -m benchmarks.findings data/catalogue [--page docs/findings.md]

The verdicts of the phonon database beside those of the release are rows that
``benchmarks.validation.released_stability`` has written.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.validation.released_stability import OUTPUT
from tasks.results.catalogue import split_by_class
from tasks.results.ranking import PURPOSES
from tasks.thermodynamics.evidence import describe_distance

_STABILITY = {True: "stable", False: "unstable"}
_STAGES = ("relaxations", "phonons")
_SIZES = (0, 6, 12, 24, 48, 200)  # atoms in the primitive cell
_PER_MEV = 8.065544  # 1/cm


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """All tables of the release by name."""
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def outcomes(chirality: pd.DataFrame) -> pd.DataFrame:
    """Materials by class and helicity wave of the space group, and what became of them."""
    told = chirality["stable"].map(_STABILITY).fillna("failed")
    table = pd.crosstab([chirality["chirality_class"], chirality["helicity_wave"]], told)
    table = table.reindex(columns=["stable", "unstable", "failed"], fill_value=0)
    table["all"] = table.sum(axis=1)
    stable = chirality[chirality["stable"].eq(True)]
    groups = stable.groupby(["chirality_class", "helicity_wave"])
    table["reliable"] = groups["reliable"].agg(_count)
    table["shortlisted"] = groups["shortlisted"].agg(_count)
    table["median mean |l| (ħ)"] = groups["mean_optical_angular_momentum"].median().round(3)
    table["median mean |h| (ħ)"] = groups["mean_optical_helicity"].median().round(3)
    counts = ["reliable", "shortlisted"]
    table[counts] = table[counts].fillna(0).astype(int)
    return table.reset_index()


def _count(flags: pd.Series) -> int:
    """True ones among flags that may be empty."""
    return int(flags.eq(True).sum())


def totals(chirality: pd.DataFrame) -> pd.DataFrame:
    """Shares of the run by outcome."""
    computed = chirality[chirality["stable"].notna()]
    stable = computed["stable"].eq(True)
    rows = {
        "materials": len(chirality),
        "with phonons": len(computed),
        "failed": len(chirality) - len(computed),
        "stable": int(stable.sum()),
        "stable and significant": int(computed["score"].notna().sum()),
        "reliable among these": int((computed["score"].notna() & computed["reliable"]).sum()),
        "shortlisted": int(computed["shortlisted"].sum()),
    }
    return pd.DataFrame({"what": rows.keys(), "materials": rows.values()})


def evidence(chirality: pd.DataFrame) -> pd.DataFrame:
    """What says that crystals exist, by what became of them."""
    found = chirality.assign(evidence=chirality["evidence"].fillna("none"))
    groups = {
        "stable": found["stable"].eq(True),
        "reliable": found["stable"].eq(True) & found["reliable"].eq(True),
        "with the score of the shortlist": found["raw_shortlisted"].eq(True),
        "shortlisted": found["shortlisted"].eq(True),
    }
    table = pd.DataFrame(
        {name: found[of]["evidence"].value_counts() for name, of in groups.items()}
    )
    return table.fillna(0).astype(int).rename_axis("evidence").reset_index()


def against_database(pairs: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of stability beside those of the phonon database (PBEsol), by size of the cell."""
    ours, theirs = pairs["stable"], pairs["stable_dft"]
    verdicts = {
        "both stable": ours & theirs,
        "both unstable": ~ours & ~theirs,
        "stable here alone": ours & ~theirs,
        "unstable here alone": ~ours & theirs,
    }
    decided = {name: found & pairs["decidable"] for name, found in verdicts.items()}
    groups = pd.DataFrame(decided | {"undecided": ~pairs["decidable"]}).groupby(
        pd.cut(pairs["n_atoms_primitive"], _SIZES), observed=True
    )
    table = groups.sum().astype(int)
    table.index = [f"{int(edge.left) + 1} to {int(edge.right)}" for edge in table.index]
    table.loc["all"] = table.sum()
    agreeing = table["both stable"] + table["both unstable"]
    table["agreeing (%)"] = (100 * agreeing / table[list(verdicts)].sum(axis=1)).round(1)
    return table.rename_axis("atoms").reset_index()


def describe_evidence(row: pd.Series) -> str:
    """Who saw the crystal, or how far it is above the hull."""
    if row["observed"] is True:
        return str(row["observed_source"])
    if pd.isna(row["energy_above_hull"]):
        return "unknown"
    return describe_distance(row["energy_above_hull"])


def by_purpose(chirality: pd.DataFrame, n: int = 5) -> pd.DataFrame:
    """The best reliable crystals with evidence for each purpose, chiral and achiral ones apart."""
    known = chirality[chirality["reliable"].eq(True) & chirality["evidence"].notna()]
    known = known[known["same_crystal_as"].isna()]
    rows = [
        {
            "for": purpose.title,
            "class": name,
            "first": "; ".join(
                f"{row['formula']} ({row['material_id']}, {row[purpose.name]:.2f})"
                for _, row in found.dropna(subset=purpose.name)
                .sort_values(purpose.name, ascending=False)
                .head(n)
                .iterrows()
            ),
        }
        for purpose in PURPOSES
        for name, found in split_by_class(known).items()
    ]
    return pd.DataFrame(rows)


def to_measure(tables: Mapping[str, pd.DataFrame], n: int = 10) -> pd.DataFrame:
    """The first observed chiral crystals of the shortlist with a splitting that is known."""
    chirality = tables["chirality"].set_index("material_id", drop=False)
    order = [name for name in tables["candidates"]["material_id"] if name in chirality.index]
    ranked = chirality.loc[order]
    seen = ranked["chirality_class"].eq("II") & ranked["observed"].eq(True)
    chosen = ranked[seen & ranked["reliable"].eq(True) & ranked["same_crystal_as"].isna()]
    told = [_tell_splitting(row) for _, row in chosen.iterrows()]
    return pd.DataFrame([row for row in told if row][:n])


def _tell_splitting(row: pd.Series) -> dict[str, object] | None:
    """Largest circular splitting of a crystal, at which wave vector, and what is known of it."""
    values = np.asarray(row["circular_splitting"], dtype=float)
    if not values.size or not np.isfinite(values).any():
        return None
    place = int(np.nanargmax(np.abs(values)))
    spread = np.asarray(row["splitting_spread"], dtype=float)
    direction = np.reshape(row["axis_directions"], (-1, 3))[place].round(2) + 0.0
    axis = " ".join(f"{x:g}" for x in direction)
    size, bar = abs(values[place]), row["frequency_bar_68"]
    return {
        "material": row["material_id"],
        "formula": row["formula"],
        "space group": row["space_group_symbol"],
        "score": round(row["score"], 3),
        "splitting (meV ħ)": round(size, 2),
        "(ħ/cm)": round(size * _PER_MEV, 1),
        "along": axis,
        "spread (%)": round(100 * spread[place]) if spread.size else None,
        "bar of frequencies (THz)": round(bar, 2) if pd.notna(bar) else None,
        "gap (eV)": round(row["band_gap"], 1) if pd.notna(row["band_gap"]) else None,
        "seen": row["observed_source"],
    }


def warnings(chirality: pd.DataFrame) -> pd.DataFrame:
    """How often each warning was given."""
    given = chirality[chirality["stable"].notna()][["stable", "warnings"]].explode("warnings")
    table = pd.crosstab(given["warnings"], given["stable"].map(_STABILITY))
    return table.reset_index().sort_values("stable", ascending=False)


def top(candidates: pd.DataFrame, chirality: pd.DataFrame, n: int = 20) -> pd.DataFrame:
    """The best candidates with their reasons."""
    table = candidates.head(n).copy()
    known = chirality.set_index("material_id").loc[table["material_id"]]
    table["seen"] = [describe_evidence(row) for _, row in known.iterrows()]
    for name in ("score", "raw_score", "mean_optical_angular_momentum", "mean_optical_helicity"):
        table[name] = table[name].round(3)
    table["largest_circular_splitting"] = table["largest_circular_splitting"].round(2)
    table["warnings"] = table["warnings"].map(", ".join)
    names = {
        "rank_of_class": "rank",
        "material_id": "material",
        "formula": "formula",
        "space_group_symbol": "space group",
        "score": "score",
        "raw_score": "raw",
        "mean_optical_angular_momentum": "mean |l|",
        "mean_optical_helicity": "mean |h|",
        "largest_circular_splitting": "splitting (meV ħ)",
        "seen": "evidence",
        "warnings": "warnings",
    }
    return table[list(names)].rename(columns=names)


def one_crystal(chirality: pd.DataFrame) -> pd.DataFrame:
    """Materials that the relaxation made the crystal of another one."""
    groups = chirality.groupby("same_crystal_as")
    names = chirality.set_index("material_id")
    rows = [
        {
            "material": kept,
            "formula": names.loc[kept, "formula"],
            "relaxed space group": int(names.loc[kept, "space_group_number_relaxed"]),
            "the same crystal": ", ".join(
                f"{name} ({symbol})"
                for name, symbol in zip(
                    members["material_id"], members["space_group_symbol"], strict=True
                )
            ),
        }
        for kept, members in groups
    ]
    return pd.DataFrame(rows)


def failures(found: pd.DataFrame) -> pd.DataFrame:
    """Failures by stage and kind, numbers left out of their messages."""
    kind = found["message"].str.replace(r"\d+(\.\d+)?(e-?\d+)?", "N", regex=True)
    table = found.assign(kind=kind).groupby(["stage", "kind"])["material_id"]
    return table.agg(materials="size", such_as="first").reset_index()


def costs(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Seconds of each stage for one structure, and the share inside the potential."""
    rows = []
    for name in _STAGES:
        table = tables[name]
        rows.append(
            {
                "stage": name,
                "structures": len(table),
                "mean (s)": table["wall_time"].mean(),
                "median (s)": table["wall_time"].median(),
                "largest (s)": table["wall_time"].max(),
                "inside the potential": table["potential_time"].sum() / table["wall_time"].sum(),
            }
        )
    return pd.DataFrame(rows).round(2)


def sizes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Evaluations and supercells, which do not depend on the machine."""
    relaxations, phonons = tables["relaxations"], tables["phonons"]
    columns = {
        "evaluations of a relaxation": relaxations["n_evaluations"],
        "displaced supercells": phonons["n_displacements"],
        "atoms of a supercell": phonons["n_supercell_atoms"],
        "distance of images (Å)": phonons["image_distance"],
    }
    rows = [
        {"what": name, "median": v.median(), "mean": v.mean(), "largest": v.max()}
        for name, v in columns.items()
    ]
    return pd.DataFrame(rows).round(1)


def ratios(chirality: pd.DataFrame) -> pd.DataFrame:
    """Shares that do not depend on which materials a source happens to hold."""
    stable = chirality[chirality["stable"].eq(True)]
    chiral = stable["chirality_class"].eq("II")
    significant = stable["significant"].eq(True)
    waves = stable[~chiral]["helicity_wave"].value_counts(normalize=True)
    rows: dict[str, float] = {
        "stable among those with phonons": float(
            chirality[chirality["stable"].notna()]["stable"].astype(bool).mean()
        ),
        "significant among stable chiral": float(significant[chiral].mean()),
        "significant among stable achiral": float(significant[~chiral].mean()),
        **{f"{wave} wave among stable achiral": float(waves.get(wave, 0.0)) for wave in "dgi"},
    }
    return pd.DataFrame({"share": rows.keys(), "per cent": [100 * v for v in rows.values()]}).round(
        1
    )


def sections(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Heading and content of each table."""
    chirality = tables["chirality"]
    seen = chirality["material_id"][chirality["observed"].eq(True)]
    yield "Totals", totals(chirality)
    yield "Classes and waves", outcomes(chirality)
    yield "Shares", ratios(chirality)
    yield "Evidence", evidence(chirality)
    yield "Phonon database", against_database(pd.read_parquet(OUTPUT))
    yield "Warnings", warnings(chirality)
    for name, rows in split_by_class(tables["candidates"]).items():
        observed = rows[rows["material_id"].isin(seen)]
        yield f"Best {name} candidates", top(rows, chirality)
        yield f"Best observed {name} candidates", top(observed, chirality)
    yield "Purposes", by_purpose(chirality)
    yield "To measure", to_measure(tables)
    yield "One crystal", one_crystal(chirality)
    yield "Failures", failures(tables["failures"])
    yield "Seconds", costs(tables)
    yield "Sizes", sizes(tables)


def written(page: str, heading: str, table: pd.DataFrame) -> str:
    """Page with one of its tables written anew.

    Parameters
    ----------
    page : str
        Markdown.
    heading : str
        Name of the table.
    table : pandas.DataFrame
        Its content.

    Returns
    -------
    str
        The page itself where it has no such table.
    """
    mark = re.escape(f"<!-- table: {heading} -->")
    content = _escaped(table).to_markdown(index=False)
    return re.sub(
        f"({mark}\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{content}\n\n{found[2]}",
        page,
        flags=re.DOTALL,
    )


def _escaped(table: pd.DataFrame) -> pd.DataFrame:
    """Table whose headings and texts hold no bare bars."""
    return table.rename(columns=_escape_bars).map(_escape_bars)


def _escape_bars(value: object) -> object:
    return value.replace("|", "\\|") if isinstance(value, str) else value


def print_or_write(found: Iterable[tuple[str, pd.DataFrame]], path: Path | None) -> None:
    """Print tables under their headings, or write them into a page that has a place for them.

    Parameters
    ----------
    found : iterable of (str, pandas.DataFrame)
        Headings and tables.
    path : pathlib.Path or None
        The page.
    """
    page = path.read_text(encoding="utf-8") if path else ""
    for heading, table in found:
        if not path:
            print(f"\n## {heading}\n\n{table.to_markdown(index=False)}")
        page = written(page, heading, table)
    if path:
        path.write_text(page, encoding="utf-8")


def main() -> None:
    """Print or write all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the release")
    parser.add_argument("--page", type=Path, help="Markdown page whose tables are written anew")
    options = parser.parse_args()
    print_or_write(sections(read(options.folder)), options.page)


if __name__ == "__main__":
    main()
