"""Write the tables and figures of the validation from the results of the other scripts.

    python -m benchmarks.validation.tables --reference DIR

``docs/validation-tables.md`` and ``docs/images/validation-*.png`` are made anew from
``benchmarks/validation/results/*.parquet``. With DIR the figures that matbench-discovery publishes
for other potentials (``lists/matbench_kappa103_model_analysis.jsonl``) stand beside our own;
without it those tables are left out.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.validation.agreement import Share, compare_verdicts
from benchmarks.validation.convergence import long_form
from benchmarks.validation.crystals import STABILITY_TOLERANCE
from benchmarks.validation.figures import draw_figures
from benchmarks.validation.materials import (
    REFERENCES,
    RESULTS,
    by_definition,
    contradicted,
    per_material,
    read_results,
)

REPOSITORY = Path(__file__).parents[2]
PAGE, IMAGES = REPOSITORY / "docs" / "validation-tables.md", REPOSITORY / "docs" / "images"
PUBLISHED = "lists/matbench_kappa103_model_analysis.jsonl"
PACKAGES = ("phonopy", "spglib", "torch", "sevenn", "numpy", "scipy")
N_WORST = 8
# Lowest frequencies of the reference below which it counts as unstable (THz).
THRESHOLDS = (0.1, 0.5, 1.0)
FIELD_THRESHOLD = 0.05  # THz, the same as ML-PEG counts it
FIELD_REFERENCES = {
    "pbe_frequencies": "78 binaries (PBE)",
    "stability": "phonon database (PBEsol)",
    "families": "silicides, carbides, intermetallics (PBEsol)",
}
FIELD_ROWS = ("max_frequency", "max_frequency_dft", "mean_shift", "frequency_mae")
FIELD_COLUMNS = {
    "highest": "ω_max MAE (THz)",
    "mean": "ω_avg MAE (THz)",
    "lowest": "ω_min MAE (THz)",
    "zone": "zone MAE (THz)",
    "f1": "stability F1",
}
TOP_REMARK = (
    "Mean shift of the highest branch, as a share of its top in the reference, at q-points no "
    "farther from Γ than half the farthest one, and at the others. Compounds drawn at random."
)
FIELD_REMARK = (
    "Named as in ML-PEG (ω_max, ω_avg, ω_min, Avg BZ MAE, stability F1 at -0.05 THz), which takes "
    "other crystals: its table can be read beside this one, not joined with it. A crystal of which "
    "nothing is imaginary has its lowest frequency at Γ: zero. Lowest frequencies are those of the "
    "whole zone, interpolated, but for the binaries, here at q-points of the supercell."
)
HEADER = """# Validation: tables

Made by `python -m benchmarks.validation.tables --reference DIR`; what they mean and how far they
go is told in [validation.md](validation.md). Each table has the command that gives its rows; append
`--reference DIR`, the folder of the reference data. Potentials compute in float32 on the CPU, as
the screening did then (float64 since, a change below 0.0004 THz); supercells are those of the
screening, of at most 130 atoms (stability: 100).

Versions: {versions}.
"""


@dataclass(frozen=True)
class Section:
    """A table with its heading, the command that gives it, and a remark."""

    title: str
    command: str
    remark: str
    table: pd.DataFrame

    def markdown(self) -> str:
        """Text of the section."""
        shown = self.table.astype(object).where(self.table.notna(), None)
        body = shown.to_markdown(index=False, floatfmt=".3g", missingval="-")
        command = f"    python -m benchmarks.validation.{self.command}\n\n" if self.command else ""
        remark = f"{self.remark}\n\n" if self.remark else ""
        return f"## {self.title}\n\n{command}{remark}{body}\n"


def published(reference: Path) -> pd.DataFrame:
    """Spectrum distances (THz) that matbench-discovery publishes, one row per potential, compound.

    Parameters
    ----------
    reference : pathlib.Path
        Folder of the reference data.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``material_id``, ``spectrum_distance``, ``imaginary``; no rows without the file.
    """
    path = reference / PUBLISHED
    if not path.exists():
        return pd.DataFrame(columns=["label", "material_id", "spectrum_distance", "imaginary"])
    first, *models = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    columns = {"material_id": first["_base"]["material_ids"]}
    frames = [
        pd.DataFrame(
            columns | {"spectrum_distance": model["freq_w1"], "imaginary": model["imag_modes"]}
        ).assign(label=model["label"])
        for model in models
    ]
    return pd.concat(frames, ignore_index=True)


def frequency_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per potential of the comparison with PBE."""
    false = (rows["min_frequency"] < -STABILITY_TOLERANCE) & (
        rows["min_frequency_dft"] >= -STABILITY_TOLERANCE
    )
    highest = rows["max_frequency"] - rows["max_frequency_dft"]
    prepared = rows.assign(
        false=false,
        highest=highest.abs(),
        softening=100 * highest / rows["max_frequency_dft"],
        a=100 * rows["a_error"].abs(),
        c=100 * rows["c_error"].abs(),
    )
    table = prepared.groupby("potential").agg(
        compounds=("formula", "size"),
        mae=("frequency_mae", "mean"),
        median=("frequency_mae", "median"),
        shift=("mean_shift", "mean"),
        distance=("spectrum_distance", "mean"),
        highest=("highest", "mean"),
        softening=("softening", "mean"),
        false=("false", "sum"),
        a=("a", "mean"),
        c=("c", "mean"),
    )
    names = {
        "mae": "frequency MAE (THz)",
        "median": "its median (THz)",
        "shift": "mean shift (THz)",
        "distance": "spectrum distance (THz)",
        "highest": "highest frequency MAE (THz)",
        "softening": "highest frequency, mean shift (%)",
        "false": "false imaginary",
        "a": "a MAE (%)",
        "c": "c MAE (%)",
    }
    return table.reset_index().rename(columns=names)


def top_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Where in the zone the highest branch is too low, one line per potential and structure."""
    known = rows.dropna(subset="top_shift_near").groupby(["potential", "structure_type"])
    table = known.agg(
        compounds=("formula", "size"),
        near=("top_shift_near", lambda shifts: 100 * shifts.mean()),
        beyond=("top_shift_beyond", lambda shifts: 100 * shifts.mean()),
    )
    names = {"structure_type": "structure", "near": "near Γ (%)", "beyond": "beyond (%)"}
    return table.reset_index().rename(columns=names)


def field_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The figures of ML-PEG: extremes and means of each crystal, and whether it is stable.

    Parameters
    ----------
    tables : dict
        Rows by script. Lowest frequencies are those of the whole zone, where a script tells them;
        of the binaries those at q-points of the supercell, and zero at Γ.

    Returns
    -------
    pandas.DataFrame
        One line per reference and potential.
    """
    lines = []
    for name in (name for name in FIELD_REFERENCES if name in tables):
        rows = tables[name]
        here = rows.get("min_frequency_between", rows["min_frequency"].clip(upper=0))
        rows = rows.assign(lowest=here).dropna(subset="lowest")
        for potential, group in rows.groupby("potential"):
            line = {"reference": FIELD_REFERENCES[name], "potential": potential}
            lines.append(line | {"crystals": len(group)} | _field_figures(group))
    return pd.DataFrame(lines).rename(columns=FIELD_COLUMNS)


def _field_figures(rows: pd.DataFrame) -> dict[str, float]:
    """Mean errors of the extremes, of the mean, and of all frequencies; F1 of stability."""
    rows = rows.reindex(columns=[*rows, *sorted({*FIELD_ROWS} - {*rows})])
    stable = rows[["min_frequency_dft", "lowest"]] > -FIELD_THRESHOLD
    errors = {
        "highest": rows["max_frequency"] - rows["max_frequency_dft"],
        "mean": rows["mean_shift"],
        "lowest": rows["lowest"] - rows["min_frequency_dft"],
        "zone": rows["frequency_mae"],
    }
    figures = {name: float(values.abs().mean()) for name, values in errors.items()}
    return figures | {"f1": compare_verdicts(*stable.to_numpy().T).f1}


def families_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per crystal: highest frequency of DFT, and how far each potential is off."""
    shift = 100 * (rows["max_frequency"] / rows["max_frequency_dft"] - 1)
    names = {
        "family": "family",
        "formula": "crystal",
        "material_id": "Materials Project",
        "space_group_dft": "space group",
        "max_frequency_dft": "highest, PBEsol (THz)",
    }
    rows = rows.astype({"space_group_dft": int})
    wide = rows.assign(shift=shift).pivot(index=list(names), columns="potential", values="shift")
    percent = {name: f"{name} (%)" for name in wide}
    return wide.round(1).reset_index().rename(columns=names | percent)


def published_summary(ours: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """All published potentials and ours, best first."""
    theirs = others.dropna(subset="spectrum_distance").groupby("label")
    lines = theirs.agg(
        compounds=("material_id", "size"),
        distance=("spectrum_distance", "mean"),
        imaginary=("imaginary", lambda flags: int(flags.astype(bool).sum())),
    ).reset_index(names="potential")
    own = ours.groupby("potential").agg(
        compounds=("formula", "size"),
        distance=("spectrum_distance", "mean"),
        imaginary=("min_frequency", lambda lowest: int((lowest < -STABILITY_TOLERANCE).sum())),
    )
    merged = pd.concat([own.reset_index().assign(source="here"), lines.assign(source="published")])
    return merged.sort_values("distance").rename(
        columns={"distance": "spectrum distance (THz)", "imaginary": "with imaginary modes"}
    )


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Compounds with the largest deviations of each potential."""
    columns = {
        "potential": "potential",
        "formula": "compound",
        "structure_type": "structure",
        "frequency_mae": "frequency MAE (THz)",
        "max_frequency": "highest (THz)",
        "max_frequency_dft": "highest, PBE (THz)",
        "min_frequency": "lowest (THz)",
    }
    ordered = rows.sort_values("frequency_mae", ascending=False)
    found = ordered.groupby("potential").head(N_WORST).sort_values("potential", kind="stable")
    return found[list(columns)].rename(columns=columns)


def modes_table(rows: pd.DataFrame, suffix: str = "") -> pd.DataFrame:
    """Mode by mode, one line per crystal."""
    columns = {
        "potential": "potential",
        "material_id": "crystal",
        f"site_shift{suffix}": "farthest site (Å)",
        f"frequency_mae{suffix}": "frequency MAE (THz)",
        f"momentum_mae{suffix}": "l MAE (ħ)",
        f"helicity_mae{suffix}": "h MAE (ħ)",
        f"n_momentum{suffix}": "modes with l",
        f"momentum_same_sign{suffix}": "same sign",
        f"momentum_same_sign_wide{suffix}": "same sign, isolated",
        f"leading_sign_agrees{suffix}": "leading h",
    }
    return rows[[name for name in columns if name in rows]].rename(columns=columns)


def analysis_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Wave, amplitude of it, mean angular momentum and tensor of both sides."""
    waves = rows["wave_dft"] + " / " + rows["wave"]
    return pd.DataFrame(
        {
            "potential": rows["potential"],
            "crystal": rows["material_id"],
            "wave, DFT / here": waves,
            "A, DFT": [
                _amplitude(*pair)
                for pair in zip(rows["helicity_ratios_dft"], rows["wave_dft"], strict=True)
            ],
            "A": [
                _amplitude(*pair)
                for pair in zip(rows["helicity_ratios"], rows["wave_dft"], strict=True)
            ],
            "mean l, DFT (ħ)": rows["mean_momentum_dft"],
            "mean l (ħ)": rows["mean_momentum"],
            "tensor: size / DFT": np.where(
                rows["tensor_cosine"].notna(), rows["tensor_size"] / rows["tensor_size_dft"], np.nan
            ),
            "tensor: cosine": rows["tensor_cosine"],
        }
    )


def _amplitude(amplitudes: Sequence[float], wave: str) -> float:
    """Relative amplitude of the wave the reference has; NaN for none."""
    order = {"s": 0, "d": 1, "g": 2, "i": 3}.get(wave)
    return float("nan") if order is None else float(amplitudes[order])


def charges_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors with the non-analytical term on neither side, on both, and in the reference only."""
    if "frequency_mae_nac" not in rows:
        return pd.DataFrame()
    polar = rows[rows["has_charges"].astype(bool) & rows["frequency_mae_nac"].notna()]
    names = {"": "neither", "_nac": "both", "_nac_missing": "reference only"}
    frames = [
        pd.DataFrame(
            {
                "potential": polar["potential"],
                "crystal": polar["material_id"],
                "non-analytical term": name,
                "frequency MAE (THz)": polar[f"frequency_mae{suffix}"],
                "l MAE (ħ)": polar[f"momentum_mae{suffix}"],
                "same sign": polar[f"momentum_same_sign{suffix}"],
                "mean l / DFT": polar[f"mean_momentum{suffix}"]
                / polar[f"mean_momentum_dft{suffix}"],
                "tensor: size / DFT": np.where(
                    polar[f"tensor_cosine{suffix}"].notna(),
                    polar[f"tensor_size{suffix}"] / polar[f"tensor_size_dft{suffix}"],
                    np.nan,
                ),
                "tensor: cosine": polar[f"tensor_cosine{suffix}"],
            }
        )
        for suffix, name in names.items()
    ]
    return pd.concat(frames).sort_values(["potential", "crystal"], kind="stable")


def stability_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Precision and recall of the verdict, by what counts as unstable in the reference."""
    lines = []
    for name, group in rows.groupby("potential"):
        for threshold in THRESHOLDS:
            unclear = (group["min_frequency_dft"] < -STABILITY_TOLERANCE) & (
                group["min_frequency_dft"] >= -threshold
            )
            chosen = group[~unclear]
            stable = chosen["min_frequency_dft"] >= -threshold
            verdicts = compare_verdicts(stable, chosen["stable"].astype(bool))
            unstable = compare_verdicts(~stable, ~chosen["stable"].astype(bool))
            lines.append(
                {
                    "potential": name,
                    "unstable below (THz)": -threshold,
                    "crystals": len(chosen),
                    "stable: precision": str(verdicts.precision),
                    "stable: recall": str(verdicts.recall),
                    "unstable: recall": str(unstable.recall),
                    "accuracy": str(verdicts.accuracy),
                }
            )
    return pd.DataFrame(lines)


def contradictions_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What lies behind crystals that are stable here and unstable in the reference."""
    lines = []
    known = rows[rows["min_frequency_between"].notna()]
    for name, group in known.groupby("potential"):
        wrong, defined = group[contradicted(group)], group[by_definition(group)]
        rest = wrong.drop(defined.index)
        lines.append(
            {
                "potential": name,
                "crystals": len(group),
                "stable here, unstable there": len(wrong),
                "unstable here too, judged as there": len(defined),
                "of the rest, above -0.5 THz there": int((rest["min_frequency_dft"] >= -0.5).sum()),
                "of the rest, below": ", ".join(rest[rest["min_frequency_dft"] < -0.5]["formula"]),
            }
        )
    return pd.DataFrame(lines)


def agreement_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Share of materials that agree with each reference."""
    merged = pd.concat([per_material(name, table) for name, table in tables.items()])
    flags = {
        "class_agrees": "class (and wave)",
        "stability_agrees": "stability",
        "leading_sign_agrees": "leading helicity",
    }
    lines = []
    for (reference, potential), group in merged.groupby(["reference", "potential"]):
        shares = {title: _share(group[flag]) for flag, title in flags.items()}
        lines.append({"reference": reference, "potential": potential} | shares)
    return pd.DataFrame(lines)


def _share(flags: "pd.Series[bool]") -> str:
    """Share of true flags among those known."""
    known = flags.dropna().astype(bool)
    return str(Share(int(known.sum()), len(known)))


def sections(tables: dict[str, pd.DataFrame], others: pd.DataFrame) -> list[Section]:
    """All tables whose results are there."""
    found = [
        Section("Materials that agree", "materials", "Share, 95 % interval, counts.", agreed)
        for agreed in [agreement_table({n: t for n, t in tables.items() if n in REFERENCES})]
    ]
    if (rows := tables.get("pbe_frequencies")) is not None:
        found += frequency_sections(rows, others)
    if len(lines := field_table(tables)):
        found.append(Section("The figures of the field", "", FIELD_REMARK, lines))
    if (rows := tables.get("families")) is not None:
        remark = "Highest frequency, and its shift with each potential."
        lines = families_table(rows)
        found.append(Section("Silicides, carbides, intermetallics", "families", remark, lines))
    if (rows := tables.get("dft_modes")) is not None:
        found += mode_sections(rows)
    if (rows := tables.get("reference_cells")) is not None:
        lines = modes_table(rows.sort_values(["potential", "frequency_mae"]))
        remark = "As mode by mode, but atoms alone are relaxed, in the cell of the reference."
        found.append(Section("In the cells of the reference", "reference_cells", remark, lines))
    if (rows := tables.get("dfpt_eigenvectors")) is not None:
        remark = "Sharp modes only; the reference includes the non-analytical term."
        lines = modes_table(rows.sort_values(["potential", "frequency_mae"]))
        lines.insert(2, "compound", rows["formula"])
        found.append(Section("Linear response along paths", "dfpt_eigenvectors", remark, lines))
    if (rows := tables.get("stability")) is not None:
        remark = "Crystals between -0.1 THz and the threshold are left out of the line."
        found.append(Section("Stability", "stability", remark, stability_table(rows)))
        remark = (
            "The reference takes the lowest frequency of the whole zone, by interpolation; the "
            "screening judges commensurate q-points. Judged as there: plain interpolation here too."
        )
        lines = contradictions_table(rows)
        found.append(Section("Stable here, unstable there", "stability", remark, lines))
    return found


def frequency_sections(rows: pd.DataFrame, others: pd.DataFrame) -> list[Section]:
    """Tables of the comparison with PBE."""
    remark = "Non-analytical term on neither side; weights of the q-points of the mesh."
    script = "pbe_frequencies"
    found = [Section("Frequencies of binary compounds", script, remark, frequency_summary(rows))]
    if "top_shift_near" in rows:
        found.append(Section("The highest branch", script, TOP_REMARK, top_table(rows)))
    if len(others):
        same = (
            "The 78 compounds, published: matbench-discovery, kappa-103 (MIT). The published "
            "distances are of other supercells and q-points."
        )
        lines = published_summary(rows, others)
        found.append(Section("Beside published potentials", script, same, lines))
    return [*found, Section("Largest deviations", script, "", worst(rows))]


def mode_sections(rows: pd.DataFrame) -> list[Section]:
    """Tables of the comparison with force constants."""
    ordered = rows.sort_values(["potential", "frequency_mae"])
    mode_remark = (
        "60 random q-points; sharp modes (no other within 0.1 THz). `dft`: two references of one "
        "compound, the noise floor. Same sign: of modes with l > 0.1 ħ; isolated: no other mode "
        "within 0.5 THz. Leading h: the sign of the largest helicity. No non-analytical term. "
        "Farthest site: how far the potential moves an atom."
    )
    analysis_remark = (
        "Helicity waves, relative amplitude A of that of the reference, means over the zone, "
        "tensor at 300 K (of one component here: the cosine is its sign). Mesh spacing 0.015 1/Å, "
        "without 2π."
    )
    found = [
        Section("Mode by mode", "dft_modes", mode_remark, modes_table(ordered)),
        Section("Waves and tensors", "dft_modes", analysis_remark, analysis_table(ordered)),
    ]
    if len(lines := charges_table(ordered)):
        remark = "Crystals whose reference has Born charges."
        found.append(Section("The non-analytical term", "dft_modes", remark, lines))
    return found


def convergence_section(rows: pd.DataFrame) -> Section:
    """Means over the crystals of the changes from the finest value of each setting."""
    table = long_form(rows[rows["error"].isna()])
    grouped = table.groupby(["setting", "unit", "measure", "value"], sort=False)["deviation"]
    lines = grouped.agg(["mean", "max", "size"]).reset_index()
    remark = (
        "Changes from the value computed finest (displacement: 0.01 Å in float64; supercell: "
        "14 Å; mesh spacing: 0.007 1/Å, without 2π): frequency in THz, momentum in ħ (mode by "
        "mode), mean |l| and tensor relative. Mean and largest over the crystals."
    )
    return Section("Convergence", "convergence", remark, lines)


def main() -> None:
    """Write the page and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, default=Path(), help="folder of the data")
    options = parser.parse_args()
    tables = read_results(names=(*REFERENCES, "families", "reference_cells"))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    found = sections(tables, published(options.reference))
    if (path := RESULTS / "convergence.parquet").exists():
        found.append(convergence_section(pd.read_parquet(path)))
    parts = [section.markdown() for section in found]
    PAGE.write_text("\n".join([HEADER.format(versions=versions), *parts]), encoding="utf-8")
    for path in draw_figures(tables, RESULTS, IMAGES):
        print(path)


if __name__ == "__main__":
    main()
