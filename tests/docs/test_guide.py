"""The guide answers its ten questions: run on a small catalogue, its answers are known."""

import ast
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

DOCS = Path(__file__).parents[2] / "docs"
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run_guide(catalog: Path) -> dict[str, Any]:
    """Run all cells in one namespace, as a kernel does, and give it back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHIRALSCREEN_CATALOG", str(catalog))
        patch.chdir(DOCS)
        mpl.use("agg")
        names: dict[str, Any] = {}
        for number, source in enumerate(CELL.findall((DOCS / "guide.md").read_text("utf-8"))):
            exec(compile(ast.parse(source), f"cell {number}", "exec"), names)  # noqa: S102
    return names


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """Names of the guide after a run on the demo crystals."""
    return run_guide(Path(__file__).parent / "catalogue")


def test_ten_questions_are_asked():
    headings = re.findall(r"^## (.*\?)$", (DOCS / "guide.md").read_text("utf-8"), re.MULTILINE)
    assert len(headings) == 10


def test_hands_split_in_quartz_and_in_no_crystal_with_a_mirror(guide):
    split = guide["split"].set_index("material_id")
    assert {"quartz-152", "quartz-154"} <= set(split.index)
    # 13.477 THz Å at 0.1 Å^-1, with 4.135668 meV for one THz.
    assert split.loc["quartz-152", "linear"] == pytest.approx(5.574, abs=0.001)
    assert split.loc["quartz-152", "circular"] == pytest.approx(1.155, abs=0.001)
    assert not {"zno", "gaas", "cdal2s4"} & set(split.index)


def test_tensor_components_are_those_of_the_point_groups(guide):
    """Wurtzite (6mm) responds across the gradient, cubic chiral crystals along it."""
    best = guide["components"].set_index("component")["best"]
    assert "zno" in best["xy = -yx"]
    assert set(best["xx = yy = zz"]) == {"fesi", "naclo3", "srsi2"}
    assert len(guide["exact"]) == len(guide["responding"])


def test_elements_are_counted_once_for_each_candidate(guide):
    elements = guide["elements"].set_index("element")
    assert (
        elements.loc["O", "candidates"]
        == guide["found"][guide["chirality"].score.notna()].map(lambda names: "O" in names).sum()
    )
    assert set(guide["oxides"].formula.str.contains("O")) == {True}


def test_what_failed_and_what_is_unstable_is_told_apart(guide):
    """CaF as wurtzite gains an inversion centre; quartz is not hexagonal at 0 K."""
    assert list(guide["lost"].example) == ["caf"]
    assert list(guide["unstable"].material_id) == ["quartz-beta"]


def test_doublets_of_quartz_are_the_eight_of_species_e(guide):
    """Γ of quartz is 4 A1 + 4 A2 + 8 E beside the translations; every E is Raman-active."""
    doublets = guide["doublets"]
    quartz = doublets[doublets.material_id == "quartz-152"]
    assert len(quartz) == 8
    assert all(set(labels) == {1, -1} for labels in quartz.pam)


def test_circular_modes_without_helicity_are_at_the_corners_of_the_zone(guide):
    """Valley modes of tungsten carbide have |l| = 1 across q."""
    valley = guide["strongest"].set_index("material_id").loc["wc"]
    assert valley.q_label in {"K", "H"}
    assert valley.l == pytest.approx(1.0, abs=1e-5)
    assert valley.helicity == 0


def test_two_hands_of_quartz_are_a_pair(guide):
    pair = guide["pairs"].iloc[0]
    assert {pair.one, pair.other} == {"quartz-152", "quartz-154"}
    assert pair.splitting_one == pytest.approx(-pair.splitting_other, rel=1e-6)


def test_warnings_name_what_is_not_converged(guide):
    assert "no_born_charges" in set(guide["warned"].warning)
    assert "linbo3" in set(guide["coarse"].material_id)


def test_cost_is_that_of_all_computed_crystals(guide):
    assert len(guide["cost"]) == 28  # 29 screened; one hand of quartz follows from the other


def test_waves_stand_on_the_diagonal(guide):
    waves = guide["waves"]
    assert isinstance(waves, pd.DataFrame)
    assert {kind: waves.loc[kind, kind] for kind in "dgis"} == {"d": 3, "g": 4, "i": 6, "s": 16}


def test_polar_crystals_without_born_charges_are_found(guide):
    assert {"zno", "pbtio3", "linbo3"} <= set(guide["polar"].material_id)
    assert not {"quartz-152", "gaas"} & set(guide["polar"].material_id)
