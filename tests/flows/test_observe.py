"""Command `observe`: tables that fit the terminal, declared files, plain errors."""

import numpy as np
import pyarrow.parquet as pq
import pytest

import flows.observe_cli
from flows.console import DONE, DONE_WITH_FAILURES, UNUSABLE, Terminal
from tasks.failures import RemediableError
from tasks.observables.rows import tabulate_observable
from tasks.results.building import build_catalog
from tasks.results.catalogue import read_material
from tasks.results.observing import strain_stored_crystal
from tasks.results.stored_crystals import read_stored_phonon
from tasks.screening.plan import plan_screening
from tasks.storage import open_tables
from tasks.tables.observables import OBSERVABLES
from tests.crystals import quartz, spring_phonon
from tests.flows.conftest import told
from tests.tasks.alloys import analysed, carry_out, intake_of, write_alloys

pytestmark = pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset of one chiral alloy, which has no charges."""
    source = write_alloys(tmp_path_factory.mktemp("alloys"), "helix", "copper", "zincblende")
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return context.dataset.root


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 80 columns."""
    terminal = Terminal(width=80)
    monkeypatch.setattr(flows.observe_cli, "console", terminal)
    return terminal


def test_files_hold_the_declared_columns_of_all_materials(folder, tmp_path):
    result = told(
        *(
            "observe",
            folder,
            "helix",
            "--kind",
            "raman",
            "--kind",
            "topology",
            "--kind",
            "response",
        ),
        *("--index", 2.0, "-o", tmp_path / "out"),
    )
    assert result.returncode == DONE, result.stderr
    for kind in ("raman", "topology", "response"):
        table = pq.read_table(tmp_path / "out" / f"{kind}.parquet")
        assert table.schema.equals(OBSERVABLES[kind].arrow_schema, check_metadata=True)
        assert set(table["material_id"].to_pylist()) == {"helix"}
    assert "raman of helix" in result.stdout


def test_tables_fit_a_terminal_of_80_columns(folder, narrow):
    with narrow.capture() as captured:
        result = told(
            "observe",
            folder,
            "helix",
            "--index",
            2.0,
            "--kind",
            "scattering",
            "--kind",
            "raman",
            "--kind",
            "response",
            "--kind",
            "topology",
        )
    assert result.returncode == DONE, result.stderr
    lines = captured.get().splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80


def test_a_unit_changes_what_is_shown_and_no_file(folder, tmp_path):
    files = []
    for unit in ("THz", "cm-1"):
        out = tmp_path / unit
        result = told(
            "observe", folder, "helix", "--kind", "raman", "--index", 2, "--unit", unit, "-o", out
        )
        assert unit.replace("cm-1", "cm⁻¹") in result.stdout
        files.append(pq.read_table(out / "raman.parquet"))
    assert files[0].equals(files[1])


def test_figures_are_drawn_where_they_were_asked_for(folder, tmp_path):
    kinds = ("scattering", "raman", "response", "topology")
    asked = [word for kind in kinds for word in ("--kind", kind)]
    result = told("observe", folder, "helix", *asked, "--index", 2, "--figures", "-o", tmp_path)
    assert result.returncode == DONE, result.stderr
    for kind in kinds:
        assert (tmp_path / f"helix-{kind}.png").stat().st_size > 5000


def test_what_needs_charges_is_told_with_the_remedy_and_the_rest_is_computed(folder):
    result = told("observe", folder, "helix", "--index", 2.0)
    assert result.returncode == DONE, result.stderr
    assert "left out: infrared, dichroism, moments of helix" in result.stderr
    assert "BORN" in result.stderr
    asked = told("observe", folder, "helix", "--kind", "infrared", "--kind", "scattering")
    assert asked.returncode == DONE_WITH_FAILURES
    alone = told("observe", folder, "helix", "--kind", "infrared")
    assert alone.returncode == UNUSABLE


@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        (("helis",), "no material 'helis'", "did you mean helix?"),
        (("copper",), "no results", "status"),
        (("helix", "--kind", "colour"), "no observable 'colour'", "infrared"),
        (("helix", "--kind", "raman"), "refractive index is not known", "--index"),
        (("helix", "--kind", "scattering", "--line", "0,0", "0,0,1"), "no wave vector", "0,0,1/3"),
        (("helix", "--kind", "scattering", "--element", "Te"), "holds Au, Cu", ""),
        (("helix", "--probe", "muon"), "no probe 'muon'", "neutron"),
        (("helix", "--figures"), "need a folder", "--output"),
    ],
)
def test_what_is_wrong_is_told_in_plain_words(folder, words, message, remedy):
    result = told("observe", folder, *words)
    assert result.returncode == UNUSABLE
    said = " ".join(result.stderr.split())
    assert message in said
    assert remedy in said
    assert "Traceback" not in said


def test_an_unstable_crystal_is_told_of(folder):
    result = told("observe", folder, "zincblende", "--kind", "scattering")
    assert result.returncode == DONE, result.stderr
    assert "zincblende is unstable" in result.stderr
    assert "unstable" not in told("observe", folder, "helix", "--kind", "scattering").stderr


def test_strain_takes_the_potential_of_the_run(folder, tmp_path, narrow):
    with narrow.capture() as captured:
        result = told("observe", folder, "helix", "--kind", "strain", "-o", tmp_path)
    assert result.returncode == DONE, result.stderr
    lines = captured.get().partition("written:")[0].splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80
    table = pq.read_table(tmp_path / "strain.parquet")
    assert table.schema.equals(OBSERVABLES["strain"].arrow_schema, check_metadata=True)
    rows = table.to_pandas()
    at_gamma = rows[rows["q_label"] == "Γ"].set_index(["component", "band"])
    np.testing.assert_allclose(at_gamma.loc["xx"]["gruneisen"], at_gamma.loc["yy"]["gruneisen"])
    # The doublets of a three-fold axis have a splitting, single modes have none.
    assert (at_gamma["splitting"].notna() == (at_gamma["n_modes"] == 2)).all()
    assert rows["gruneisen_error"].lt(0.5).all()


def test_force_constants_from_elsewhere_know_no_strained_crystal(folder, tmp_path):
    helix = read_stored_phonon(open_tables(folder), read_material(folder, "helix"))
    result = told("observe", analysed(tmp_path, helix=helix).root, "helix", "--kind", "strain")
    assert result.returncode == UNUSABLE
    said = " ".join(result.stderr.split())
    assert "a strained crystal needs a potential" in said
    assert "screen the crystal" in said


def test_another_potential_of_the_same_name_is_refused(folder):
    row = read_material(folder, "helix") | {"checkpoint_digest": "0123456789abcdef"}
    with pytest.raises(RemediableError, match="is another one than 'helix' was computed with"):
        strain_stored_crystal(open_tables(folder), row)


def test_every_kind_makes_rows_of_its_table():
    """With charges, without a dataset: what is left for notebooks."""
    from tasks.conditions import Conditions
    from tasks.tables.rows import make_arrow_table

    phonon = spring_phonon(quartz(), 3, born=True)
    for kind in ("infrared", "dichroism", "raman", "moments"):
        rows = tabulate_observable(phonon, kind, Conditions())
        table = make_arrow_table(OBSERVABLES[kind], [{"material_id": "quartz"} | r for r in rows])
        assert table.num_rows == len(rows) > 5
    with pytest.raises(RemediableError, match="takes more than the force constants"):
        tabulate_observable(phonon, "strain", Conditions())
