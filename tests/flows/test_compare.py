"""A potential against one's own force constants, at a terminal of 80 columns."""

import pytest
from rich.cells import cell_len

from tasks.phonons.mirror import make_mirror_image
from tasks.results import read_catalog
from tasks.results.counterparts import read_screened_rows
from tasks.results.stored_crystals import read_stored_phonon
from tests.flows.conftest import told
from tests.flows.terminals import printed_in_terminal
from tests.tasks import alloys


def _stiffer(phonon, factor):
    """The same crystal with all frequencies times a factor."""
    copy = make_mirror_image(make_mirror_image(phonon))
    copy.force_constants = factor**2 * copy.force_constants
    return copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Datasets: of a potential, of a reference of the other hand, and of another crystal."""
    folder = tmp_path_factory.mktemp("compared")
    dataset = alloys.screened(folder / "potential", "helix")
    [row] = read_screened_rows(dataset)
    helix = read_stored_phonon(dataset, row)
    for name, phonons in {
        "reference": {"POSCAR-unit": make_mirror_image(helix)},
        "several": {"one": helix, "other": make_mirror_image(make_mirror_image(helix))},
        "stiffer": {"helix": _stiffer(helix, 1.1)},
    }.items():
        (folder / name).mkdir()
        alloys.analysed(folder / name, **phonons)
    alloys.screened(folder / "blende", "zincblende")
    return folder


def test_the_counterpart_the_match_and_the_hand_are_told(folder):
    code, text = printed_in_terminal(folder, "compare", "potential/out", "reference/out")
    assert code == 0, text
    found = [line.split("  ") for line in text.splitlines()]
    facts = {words[0]: words[-1].strip() for words in found if len(words) > 1}
    assert facts["material"] == "helix"
    assert facts["compared with"] == "POSCAR-unit"
    assert facts["matched by"] == "formula and symmetry"
    assert float(facts["l to the same side"]) == 1.0
    assert facts["contradict"] == "no"
    assert "of the other hand there, its mirror image compared: helix" in text
    assert "1 crystal compared, none contradicted" in text
    assert "next: chiralscreen plot potential/out --compare reference/out" in text
    assert max(map(cell_len, text.replace("\r", "\n").splitlines())) <= 80
    row = read_catalog(folder / "potential" / "out", "agreement").iloc[0]
    assert row["other_material_id"] == "POSCAR-unit"
    assert row["other_mirrored"]
    assert read_catalog(folder / "potential" / "out", "chirality")["other_mirrored"].item()


def test_differences_are_told_in_the_unit_that_is_asked_for(folder):
    result = told(
        "compare", folder / "potential" / "out", folder / "stiffer" / "out", "--unit", "cm-1"
    )
    assert result.returncode == 0, result.stderr
    row = read_catalog(folder / "potential" / "out", "agreement").iloc[0]
    assert row["frequency_difference"] == pytest.approx(0.1 * row["mean_frequency"], rel=0.02)
    [line] = [line for line in result.stdout.splitlines() if line.startswith("mean |Δν| (cm⁻¹)")]
    assert float(line.split()[-1]) == pytest.approx(33.356 * row["frequency_difference"], abs=1e-3)


def test_a_comparison_of_nothing_is_an_error_that_says_why(folder):
    result = told("compare", folder / "potential" / "out", folder / "blende" / "out")
    assert result.returncode == 2
    message, remedy = result.stderr.splitlines()
    assert "helix: no Cu3Au there" in message
    assert "by structure, by name, or by formula, space group and arrangement" in remedy


def test_crystals_that_several_could_be_are_listed_and_not_compared(folder):
    result = told("compare", folder / "potential" / "out", folder / "several" / "out")
    assert result.returncode == 2
    assert "helix: 2 are like it: one, other" in result.stderr


def test_parity_figures_show_the_same_pairs(folder, tmp_path):
    command = ("plot", folder / "potential" / "out", "--compare", folder / "reference" / "out")
    result = told(*command, "-o", tmp_path, "--format", "png")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "parity-max_frequency.png").stat().st_size > 0
