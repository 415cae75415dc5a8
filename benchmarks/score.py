"""What the score is made of, and what it does to the ranking of the released catalogue.

    python -m benchmarks.score data/catalogue --page docs/trust.md
    python -m benchmarks.score --helix
    python -m benchmarks.score --linewidths quartz_gamma_LDA.json.gz

With a page, its tables are written anew; without one they are printed.
"""

import argparse
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.findings import print_or_write, read
from tasks.chirality import ChiralitySettings, ScoreSettings, analyze_force_constants
from tasks.results.catalogue import rank_candidates, split_by_class
from tasks.results.ranking import (
    PURPOSES,
    TERMS,
    compute_raw_score,
    compute_response_norm,
    compute_score_terms,
)
from tests.crystals import helix, spring_phonon

N_FIRST = 25
RADII = (0.3, 0.1, 0.03, 0.01, 0.003)
SPRINGS = 4.45  # range of the pair springs of the helix (Å)
ROOM_TEMPERATURE = 300.0


def former_score(row: Mapping[str, Any]) -> float:
    """Score of the releases before, of which 0.57 of the variance was a folded sound velocity."""
    splitting = max(map(abs, row["splitting_linear"]), default=0.0)
    response = compute_response_norm(row, ROOM_TEMPERATURE)
    isolated = 1 - row["near_degenerate_fraction"] - row["degenerate_fraction"]
    return (
        float(
            row["mean_optical_angular_momentum"]
            + row["mean_optical_helicity"]
            + 0.5 * max(0.0, isolated)
            + splitting / (splitting + 2.0)
            + 0.5 * response / (response + 3e-6)
        )
        / 4
    )


def terms_table(ranked: pd.DataFrame) -> pd.DataFrame:
    """Mean of each term and its share of the variance of the score, by class."""
    lists = {"all": ranked, **split_by_class(ranked)}
    shares = {name: _shares(rows) for name, rows in lists.items() if len(rows)}
    rows = []
    for term in TERMS:
        row: dict[str, Any] = {"term": term.name, "formula": term.formula, "reason": term.reason}
        for name, found in shares.items():
            row[f"mean, {name}"] = found.loc[term.name, "mean"]
            row[f"share, {name}"] = found.loc[term.name, "share"]
        rows.append(row)
    return pd.DataFrame(rows).round(3)


def _shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean of each term, and the covariance of its part of the score with the score."""
    settings = ScoreSettings()
    terms = pd.DataFrame(
        [compute_score_terms(row, settings) for row in rows.to_dict("records")]
    ).dropna()
    weights = pd.Series({term.name: getattr(settings, f"{term.name}_weight") for term in TERMS})
    parts = terms * weights / weights.sum()
    score = parts.sum(axis=1)
    shares = {name: parts[name].cov(score) / score.var() for name in parts}
    return pd.DataFrame({"mean": terms.mean(), "share": pd.Series(shares)})


def purposes_table() -> pd.DataFrame:
    """Scores by purpose as they are declared."""
    rows = [
        {"column": p.name, "for": p.title, "formula": p.formula, "reason": p.reason}
        for p in PURPOSES
    ]
    return pd.DataFrame(rows)


def first_table(ranked: pd.DataFrame, observed: pd.Series) -> pd.DataFrame:
    """First materials of a ranking, observed ones marked."""
    found = ranked.head(N_FIRST)
    return pd.DataFrame(
        {
            "rank": range(1, len(found) + 1),
            "material": found["material_id"].to_numpy(),
            "formula": found["formula"].to_numpy(),
            "space group": found["space_group_symbol"].to_numpy(),
            "score": found["ranked_by"].round(3).to_numpy(),
            "observed": [_told(observed.get(name)) for name in found["material_id"]],
        }
    )


def _told(flag: Any) -> str:  # noqa: ANN401 - a cell
    return "?" if flag is None or pd.isna(flag) else "yes" if flag else "no"


def counts_table(rankings: Mapping[str, pd.DataFrame], observed: pd.Series) -> pd.DataFrame:
    """How many of the first materials are observed, and in which space groups they stand."""
    rows = []
    for name, ranked in rankings.items():
        found = ranked.head(N_FIRST)
        flags = found["material_id"].map(observed)
        rows.append(
            {
                "list": name,
                "first": len(found),
                "observed": int(flags.eq(True).sum()),
                "not observed": int(flags.eq(False).sum()),
                "unknown": int(flags.isna().sum()),
                "space group R32": int(found["space_group_number"].eq(155).sum()),
                "holds Mg": int(found["formula"].str.contains(r"Mg(?![a-z])").sum()),
            }
        )
    return pd.DataFrame(rows)


def rankings(chirality: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Reliable materials by the former score and by the present one, the best first."""
    scored = chirality[chirality["stable"].eq(True) & chirality["reliable"].eq(True)]
    former = scored.assign(
        ranked_by=[former_score(row) for row in scored.to_dict("records")] * scored["trust"]
    ).sort_values("ranked_by", ascending=False)
    present = rank_candidates(scored).assign(ranked_by=lambda rows: rows["score"])
    lists = {f"score, {name}": rows for name, rows in split_by_class(present).items()}
    for purpose in PURPOSES:
        rows = rank_candidates(scored, purpose.name)
        rows = rows.assign(ranked_by=rows[purpose.name])
        lists |= {f"{purpose.title}, {name}": m for name, m in split_by_class(rows).items()}
    return {"former score": former} | {name: rows for name, rows in lists.items() if len(rows)}


def helix_table() -> pd.DataFrame:
    """Terms of a one-atom crystal wound into a helix of smaller and smaller radius."""
    settings = ChiralitySettings(mesh_spacing=0.02)
    rows = []
    for radius in RADII:
        phonon = spring_phonon(helix(radius), cutoff=SPRINGS, cluster_strength=0.0)
        record = analyze_force_constants(phonon, settings).record
        row = asdict(record) | {"stable": True, "significant": True}
        rows.append(
            {
                "radius (Å)": radius,
                "linear splitting (THz Å)": max(map(abs, record.splitting_linear)),
                "circular splitting (meV ħ)": max(map(abs, record.circular_splitting or ())),
                "mean optical |l| (ħ)": record.mean_optical_angular_momentum,
                "former score": former_score(row),
                **compute_score_terms(row, ScoreSettings()),
                "score": compute_raw_score(row, ScoreSettings()),
            }
        )
    return pd.DataFrame(rows).round(4)


def linewidth_table(path: Path) -> pd.DataFrame:
    """Linewidths of the modes of a crystal at Gamma as fractions of their frequencies."""
    rows = json.loads(gzip.decompress(path.read_bytes()))["ir"]["LDA"]["rows"]
    widths = pd.Series([width / frequency for frequency, _, _, width in rows if frequency > 1])
    found = {"modes": len(widths), "median": widths.median()}
    return pd.DataFrame([found | {"least": widths.min(), "largest": widths.max()}]).round(4)


def tables(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Heading and content of each table."""
    chirality = read(folder)["chirality"]
    observed = chirality.set_index("material_id")["observed"]
    yield "Terms", terms_table(rank_candidates(chirality))
    yield "Purposes", purposes_table()
    found = rankings(chirality)
    yield "Observed", counts_table(found, observed)
    for name, ranked in found.items():
        yield f"First by {name}", first_table(ranked, observed)


def main() -> None:
    """Print or write all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of the release")
    parser.add_argument("--page", type=Path, help="Markdown page whose tables are written anew")
    parser.add_argument("--helix", action="store_true", help="the helix of one atom as well")
    parser.add_argument("--linewidths", type=Path, help="computed spectra of quartz")
    options = parser.parse_args()
    found = list(tables(options.folder)) if options.folder else []
    found += [("Helix", helix_table())] if options.helix else []
    found += [("Linewidths", linewidth_table(options.linewidths))] if options.linewidths else []
    print_or_write(found, options.page)


if __name__ == "__main__":
    main()
