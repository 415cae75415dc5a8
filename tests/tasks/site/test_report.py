"""The report: one file, self-contained, that tells of every material what became of it."""

import base64
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser

import html5lib
import pandas as pd
import pytest
import yaml

from tasks.failures import RemediableError
from tasks.figures.collection import MATERIAL_KINDS, draw_material_figures
from tasks.figures.labels import format_formula_text, format_space_group_text
from tasks.figures.material import read_material_data
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.decisions import RunContext
from tasks.screening.external import plan_analysis
from tasks.screening.plan import plan_screening
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.site.report import write_report
from tasks.storage import Dataset
from tasks.units import UNITS, UnitName
from tests.tasks.alloys import (
    SETTINGS,
    carry_out,
    face_centred_phonon,
    intake_of,
    no_card,
    write_alloys,
)

pytestmark = pytest.mark.slow

NOW = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
VERSIONS = {"chiralscreen": "0.0.1", "phonopy": "4.10"}
SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Addresses, identifiers and balance of tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.identifiers: list[str] = []
        self.alternatives: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        self.identifiers += [given["id"]] if "id" in given else []
        self.alternatives += [given["alt"]] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def commit_run(context: RunContext) -> None:
    """Record a run as the flows do, with invented times."""
    run = {
        "run_id": context.run_id,
        "started_at": context.started_at,
        "finished_at": context.started_at + timedelta(seconds=90),
        "source": str(context.source),
        "settings": context.settings.model_dump_json(),
        "versions": json.dumps(VERSIONS),
        "potential": "EMT",
        "checkpoint_digest": "0123abcd",
        "potential_citation": "Jacobsen et al., Surf. Sci. 366, 394 (1996)",
        "potential_licence": "LGPL",
        "potential_limits": ["Made for a few metals.", "It knows no charges."],
        "host": "laptop",
        "wall_times": json.dumps({"phonons": 12.0}),
        "potential_times": "{}",
        "counts": "{}",
    }
    context.dataset.commit("run", {"runs": [run]}, [context.run_id])


def command_in(page: str) -> list[str]:
    """Words of the command that a page gives for a repetition."""
    return shlex.split(unescape(re.search(r"<pre>(chiralscreen .*?)</pre>", page)[1]))


def last_numbers(name: str, page: str) -> list[float]:
    """Splitting and lowest frequency of a material in the first table that tells of it."""
    row = next(row for row in page.split("<tr>") if name in row and 'class="n"' in row)
    return [float(cell) for cell in re.findall(r'<td class="n">([^<]*)</td>', row)[-2:]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """All alloys, screened in one run."""
    source = write_alloys(tmp_path_factory.mktemp("alloys"))
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    commit_run(context)
    build_catalog(context.dataset)
    return context.dataset


@pytest.fixture(scope="module")
def page(dataset, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    return write_report(dataset, path, n_drawn=1, now=NOW).read_text(encoding="utf-8")


def test_page_needs_no_other_file(page):
    html5lib.HTMLParser(strict=True).parse(page)
    parsed = Page(page)
    assert not parsed.open
    inside = {f"#{name}" for name in parsed.identifiers}
    for address in parsed.addresses:
        assert address.startswith("data:image/") or address in inside
    assert "url(" not in page
    assert "<script" not in page


def test_pictures_are_whole_and_described(page):
    pictures = re.findall(r'src="data:image/(png|svg\+xml);base64,([^"]+)"', page)
    assert len(pictures) >= 6
    starts = {"png": b"\x89PNG", "svg+xml": b"<?xml"}
    for kind, content in pictures:
        assert base64.b64decode(content).startswith(starts[kind])
    assert all(len(text) > 20 for text in Page(page).alternatives)


def test_every_material_is_told_of(page, dataset):
    chirality = read_catalog(dataset.root, "chirality").set_index("material_id")
    assert set(chirality["outcome"]) == {"screened", "skipped", "failed"}
    for name in chirality.index:
        assert name in page
    assert "centrosymmetric" in page
    failures = read_catalog(dataset.root, "failures")
    for failure in failures.to_dict("records"):
        assert failure["remedy"].split("`")[0][:30] in page


def test_candidate_stands_with_its_score_and_reason(page, dataset):
    row = read_catalog(dataset.root, "chirality").set_index("material_id").loc["helix"]
    assert f"{row['score']:.3f}" in page
    assert row["explanation"].split("|")[0] in page
    assert format_formula_text(row["formula"]) in page
    assert format_space_group_text(row["space_group_symbol"]) in page


def test_frequencies_alone_follow_the_unit(page, dataset, tmp_path):
    """1 THz is 4.1357 meV; the splitting is stored in meV ħ."""
    path, unit = tmp_path / "report.html", UNITS[UnitName.MILLIELECTRONVOLT]
    other = write_report(dataset, path, n_drawn=0, now=NOW, unit=unit).read_text(encoding="utf-8")
    [before, after] = [last_numbers("helix", text) for text in (page, other)]
    assert before[0] == after[0] > 0
    assert after[1] / before[1] == pytest.approx(4.1357, rel=0.01)


def test_the_potential_is_cited_with_its_limits(page):
    assert "Potential EMT: Jacobsen et al., Surf. Sci. 366, 394 (1996)" in page
    assert "Potential EMT (LGPL): Made for a few metals. It knows no charges." in page


def test_run_can_be_repeated_from_the_page(page, dataset, tmp_path):
    text = re.search(r"<details><summary>Settings.*?<pre>(.*?)</pre>", page, re.DOTALL)
    file = tmp_path / "settings.yaml"
    file.write_text(text[1].replace("&#39;", "'").replace("&#34;", '"'))
    assert isinstance(yaml.safe_load(file.read_text()), dict)
    assert read_settings(file, {}) == SETTINGS
    assert isinstance(SETTINGS, ScreenSettings)
    source = read_catalog(dataset.root, "runs")["source"].iloc[-1]
    repeated = ["--output", "again", "--config", "settings.yaml"]
    assert command_in(page) == ["chiralscreen", "screen", source, *repeated]


def test_analysis_of_force_constants_is_repeated_as_one(tmp_path):
    good = tmp_path / "with space" / "gold copper.yaml"
    good.parent.mkdir()
    face_centred_phonon().save(good, settings={"force_constants": True})
    bad = tmp_path / "bad.yaml"
    bad.write_text("nothing: here")
    for files in ([good, bad], [bad]):
        context = intake_of(tmp_path, tmp_path / files[0].stem, SETTINGS, card=no_card)
        carry_out(plan_analysis(context, files), context)
        commit_run(context)
        build_catalog(context.dataset)
        text = write_report(context.dataset, tmp_path / "page.html", n_drawn=0).read_text("utf-8")
        assert command_in(text)[: 2 + len(files)] == ["chiralscreen", "analyze", *map(str, files)]


def test_versions_potential_machine_and_time_are_told(page):
    for word in ("phonopy 4.10", "0123abcd", "laptop", "EMT", "2026-02-03 04:05 UTC"):
        assert word in page


def test_names_from_outside_cannot_become_markup(dataset, tmp_path):
    hostile = Dataset(tmp_path / "hostile")
    plan = read_catalog(dataset.root, "plan").to_dict("records")[0]
    row = {name: None if pd.isna(value) else value for name, value in plan.items()}
    bad = {"material_id": "<img src=x>", "key": "k", "outcome": "skipped", "reason": SCRIPT}
    hostile.commit("plan", {"plan": [row | bad]}, ["k"])
    build_catalog(hostile)
    text = write_report(hostile, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "<img src=x>" not in text
    assert "No material reached the shortlist" in text


def test_dataset_without_catalogue_is_refused(tmp_path):
    with pytest.raises(RemediableError, match="no catalogue"):
        write_report(Dataset(tmp_path), tmp_path / "report.html")


def test_figures_of_a_material_come_in_order_with_units(dataset):
    figures = list(draw_material_figures(read_material_data(dataset, "helix")))
    names = [name for name, _ in figures]
    assert names == [kind for kind in MATERIAL_KINDS if kind in names]
    assert {"bands-helicity", "density", "sphere", "cut", "motion", "tensor"} <= set(names)
    for name, figure in figures:
        labels = [axes.get_ylabel() + axes.get_xlabel() for axes in figure.axes]
        assert any("(" in label for label in labels) or name in {"sphere", "tensor"}


def test_unknown_kind_is_refused(dataset):
    with pytest.raises(ValueError, match="no such figure: bonds"):
        list(draw_material_figures(read_material_data(dataset, "helix"), ["bonds"]))


@pytest.mark.parametrize(
    ("name", "message"), [("gold", "no material 'gold'"), ("copper", "no results: skipped")]
)
def test_material_without_results_is_refused(dataset, name, message):
    with pytest.raises(RemediableError, match=message):
        read_material_data(dataset, name)
