"""Overviews: every material is counted once, where it belongs."""

import numpy as np
import pandas as pd
import pytest
from ase.data import chemical_symbols
from matplotlib.colors import to_hex
from matplotlib.patches import Wedge

from tasks.figures.collection import draw_comparison_figures, draw_dataset_figures
from tasks.figures.overview import (
    draw_distributions,
    draw_outcomes,
    draw_parity,
    draw_periodic_table,
    draw_scores,
    draw_space_groups,
    draw_stability,
    find_place_of_element,
)
from tasks.figures.style import CLASS_COLOURS, WAVE_COLOURS
from tasks.figures.sunburst import draw_sunburst

NUMBERS = {
    "score": [0.5, 0.3, np.nan, np.nan],
    "min_frequency_commensurate": [1.0, 0.5, -2.0, np.nan],
    "mean_optical_angular_momentum": [0.3, 0.2, 0.1, np.nan],
    "mean_optical_helicity": [0.2, 0.1, 0.1, np.nan],
    "max_frequency": [30.0, 20.0, 10.0, np.nan],
    "n_atoms_primitive": [9, 2, 4, np.nan],
}


@pytest.fixture
def chirality() -> pd.DataFrame:
    """Quartz, gallium arsenide, an unstable oxide, and rocksalt."""
    return pd.DataFrame(
        {
            "material_id": ["quartz", "gaas", "zno", "nacl"],
            "outcome": ["screened", "screened", "screened", "skipped"],
            "formula": ["SiO2", "GaAs", "ZnO", "NaCl"],
            "space_group_number": [152, 216, 186, 225],
            "chirality_class": ["II", "III", "III", "I"],
            "helicity_wave": ["s", "i", "i", "none"],
            "helicity_wave_found": ["s", "i", "i", None],
            "stable": [True, True, False, None],
            **NUMBERS,
        }
    )


def bars(axes) -> float:
    """Total height of all bars."""
    return sum(patch.get_height() for patch in axes.patches)


def test_no_two_elements_share_a_place():
    places = {find_place_of_element(symbol) for symbol in chemical_symbols[1:104]}
    assert len(places) == 103
    assert find_place_of_element("H") == (1, 1)
    assert find_place_of_element("He") == (18, 1)
    assert find_place_of_element("Si") == (14, 3)
    assert find_place_of_element("Hf") == (4, 6)


def test_elements_of_candidates_alone_are_counted(chirality):
    texts = [text.get_text() for text in draw_periodic_table(chirality).axes[0].texts]
    counts = {texts[i - 1]: text for i, text in enumerate(texts) if text.isdigit()}
    assert counts == {"Si": "1", "O": "1", "Ga": "1", "As": "1"}


def test_space_groups_hold_every_material(chirality):
    figure = draw_space_groups(chirality)
    assert bars(figure.axes[0]) == 4
    heights = {p.get_x() + p.get_width() / 2: p.get_height() for p in figure.axes[0].patches}
    assert heights == {152: 1, 186: 1, 216: 1, 225: 1}


def test_rings_of_the_sunburst_hold_every_material_in_the_same_direction(chirality):
    [axes] = draw_sunburst(chirality).axes
    by_ring: dict[float, list[Wedge]] = {}
    for patch in axes.patches:
        by_ring.setdefault(patch.r, []).append(patch)
    assert [len(sectors) for sectors in by_ring.values()] == [3, 4, 4]
    for sectors in by_ring.values():
        assert sum(s.theta2 - s.theta1 for s in sectors) == pytest.approx(360)
    inner, _, outer = by_ring.values()
    chiral = next(s for s in inner if to_hex(s.get_facecolor()) == CLASS_COLOURS["II"])
    quartz = next(s for s in outer if to_hex(s.get_facecolor()) == WAVE_COLOURS["s"].lower())
    assert (quartz.theta1, quartz.theta2) == pytest.approx((chiral.theta1, chiral.theta2))
    assert {"class II", "trigonal", "$P3_{1}21$"} <= {text.get_text() for text in axes.texts}


def test_stability_counts_what_was_computed(chirality):
    axes = draw_stability(chirality, tolerance=0.1).axes[0]
    assert bars(axes) == 3
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["stable (2)", "unstable (1)"]
    assert "THz" in axes.get_xlabel()


def test_score_names_the_best_and_shows_the_waves(chirality):
    axes = draw_scores(chirality).axes[0]
    assert [text.get_text() for text in axes.texts] == ["SiO$_{2}$", "GaAs"]
    assert axes.get_xscale() == "log"
    drawn = sorted(float(y) for line in axes.lines for y in line.get_ydata())
    assert drawn == [0.3, 0.5]


def test_score_tells_by_the_form_of_a_marker_what_says_that_a_crystal_exists(chirality):
    scored = chirality["score"].notna()
    kinds = pd.Series(["observed", None], index=chirality.index[scored])
    figure = draw_scores(chirality.assign(evidence=kinds))
    forms = {
        float(line.get_ydata()[0]): (line.get_marker(), line.get_markerfacecolor() != "none")
        for line in figure.axes[0].lines
        if len(line.get_ydata())
    }
    first, second = chirality["score"][scored]
    assert forms == {first: ("o", True), second: ("o", False)}
    [legend] = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["observed", "near the hull", "no evidence"]


def test_outcomes_by_class(chirality):
    axes = draw_outcomes(chirality).axes[0]
    assert sum(patch.get_width() for patch in axes.patches) == 4
    assert [text.get_text() for text in axes.get_yticklabels()] == ["screened", "skipped"]


def test_distributions_keep_classes_apart(chirality):
    figure = draw_distributions(chirality)
    for axes in figure.axes:
        assert bars(axes) == 3
        assert r"\hbar" in axes.get_xlabel()
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == ["class II (1)", "class III (2)"]


def test_parity_of_a_dataset_with_itself_is_perfect(chirality):
    axes = draw_parity(chirality, chirality, "max_frequency", ("first", "second")).axes[0]
    [text] = [text.get_text() for text in axes.texts]
    assert text.startswith("3 materials")
    assert "= 0 " in text
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlabel().endswith("first")


def test_parity_pairs_materials_by_name(chirality):
    shuffled = chirality.iloc[::-1]
    points = draw_parity(chirality, shuffled, "max_frequency", ("a", "b")).axes[0].lines[1]
    np.testing.assert_array_equal(points.get_xdata(), points.get_ydata())


def test_parity_needs_a_shared_material(chirality):
    other = chirality.assign(material_id=["a", "b", "c", "d"])
    with pytest.raises(ValueError, match="share no material"):
        draw_parity(chirality, other, "max_frequency", ("a", "b"))


def test_dataset_without_results_has_overviews_of_what_is_known(chirality):
    unknown = dict.fromkeys([*NUMBERS, "stable"], None)
    names = [name for name, _ in draw_dataset_figures(chirality.assign(**unknown))]
    assert names == ["outcomes", "space-groups", "sunburst"]


def test_all_overviews_and_comparisons_come_with_their_names(chirality):
    names = [name for name, _ in draw_dataset_figures(chirality)]
    assert sorted(names) == sorted({*names})
    assert {"elements", "score", "stability", "distributions"} <= set(names)
    compared = dict(draw_comparison_figures(chirality, chirality, ("a", "b")))
    assert "parity-max_frequency" in compared
