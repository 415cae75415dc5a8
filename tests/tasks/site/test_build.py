"""A site holds a page for every row, and files that other programs read."""

import hashlib
import json
from pathlib import Path
from urllib.parse import unquote

import ase.io
import html5lib
import numpy as np
import phonopy
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.failures import RemediableError
from tasks.phonons.phonopy_files import read_phonopy
from tasks.phonons.rows import interpolate_row, read_phonon
from tasks.site.build import ASSETS, build_site
from tasks.site.json_values import pack_numbers
from tasks.site.material import make_material_page
from tasks.site.sources import open_sources, read_catalogue_batches, read_details
from tasks.storage import CATALOG_TABLES, Dataset
from tests.tasks.alloys import EMT, emt

pytestmark = pytest.mark.slow

Q_POINTS = [[0.1, 0.2, 0.3], [0.5, 0.0, 0.0]]
LARGEST_BUNDLE = 2_000_000


def table(site: Path):
    return pq.read_table(site / "materials.parquet").to_pandas()


def about(site: Path) -> dict:
    return json.loads((site / "site.json").read_text())


def page(site: Path, material_id: str, dataset: str = "first") -> dict:
    name = about(site)["files"][f"{EMT} ({dataset})"]
    return json.loads((site / "materials" / material_id / f"{name}.json").read_text())


def test_every_row_has_its_page(site):
    files = about(site)["files"]
    for row in table(site).to_dict("records"):
        found = site / "materials" / row["material_id"] / f"{files[row['potential']]}.json"
        content = json.loads(found.read_text())
        assert (content["material_id"], content["potential"]) == (
            row["material_id"],
            row["potential"],
        )


def test_two_datasets_of_one_potential_stay_apart(site):
    assert sorted(table(site)["potential"].unique()) == [f"{EMT} (first)", f"{EMT} (second)"]


def test_a_page_names_the_other_potentials_of_its_structure(site):
    assert page(site, "helix")["twins"] == [
        ["helix", f"{EMT} (first)"],
        ["helix", f"{EMT} (second)"],
    ]
    assert page(site, "zincblende")["twins"] == [["zincblende", f"{EMT} (first)"]]


def test_the_potentials_differ_in_the_bands(site):
    first, second = (
        page(site, "helix", name)["bands"]["frequencies"] for name in ("first", "second")
    )
    assert np.max(first) != np.max(second)


def test_bands_are_those_of_the_stored_force_constants(site, datasets):
    bands = page(site, "helix")["bands"]
    [row] = (
        r
        for r in Dataset(datasets[0]).read("force_constants").to_pylist()
        if r["material_id"] == "helix"
    )
    phonon = interpolate_row(row).phonon
    expected = phonon.run_qpoints(bands["q_points"]).frequencies
    assert np.allclose(bands["frequencies"], expected, atol=1e-3)


def test_numbers_are_those_of_the_catalogue(site, datasets):
    row = page(site, "helix")["row"]
    stored = (
        pq.read_table(datasets[0] / "catalog" / "chirality.parquet")
        .to_pandas()
        .set_index("material_id")
    )
    assert row["score"] == pytest.approx(stored.loc["helix", "score"], rel=1e-5)
    assert row["tensor"] == pytest.approx(stored.loc["helix", "tensor"], rel=1e-5, abs=1e-30)


def test_what_failed_has_a_page_with_the_reason_and_no_bands(site):
    found = page(site, "wurtzite")
    assert "bands" not in found
    assert any("centrosymmetric" in text for text in found["warnings"])
    assert found["structure"]["numbers"]


def test_an_unstable_crystal_is_warned_of(site):
    assert page(site, "zincblende")["warnings"][0].startswith("Unstable")


def test_animation_has_displacements_for_each_named_point(site):
    found = page(site, "helix")
    name = about(site)["files"][found["potential"]]
    modes = json.loads((site / "materials" / "helix" / f"{name}.modes.json").read_text())
    n_atoms = len(found["structure"]["numbers"])
    assert set(modes) == {point["label"] for point in found["special"]}
    assert {len(text) for text in modes.values()} == {
        len(pack_numbers(np.zeros(3 * n_atoms * n_atoms * 6)))
    }


def test_files_name_no_folder_of_the_machine(site, datasets):
    for path in site.rglob("*.json"):
        assert str(datasets[0].parent) not in path.read_text()


def test_a_record_named_by_its_path_keeps_its_name_alone(datasets):
    [source, _] = open_sources(datasets)
    [row, *_] = next(read_catalogue_batches(source, 1))
    [found] = read_details(source, [row | {"source_record": "/home/me/a/b.yaml"}], ["x"])
    content, _ = make_material_page(found, None)
    assert content["row"]["source_record"] == "b.yaml"
    assert content["row"]["source"] == "every"


def download(site: Path, ending: str) -> Path:
    [name] = (name for _, name in page(site, "helix")["downloads"] if name.endswith(ending))
    return site / "materials" / "helix" / name


def test_cif_holds_the_crystal_of_the_page(site):
    atoms, structure = ase.io.read(download(site, ".cif")), page(site, "helix")["structure"]
    assert atoms.numbers.tolist() == structure["numbers"]
    assert atoms.cell.lengths() == pytest.approx(
        np.linalg.norm(structure["cell"], axis=1), abs=1e-5
    )


def test_force_constants_are_read_by_phonopy_and_by_the_program(site, datasets):
    path = download(site, ".phonopy.yaml.xz")
    [row] = (
        r
        for r in Dataset(datasets[0]).read("force_constants").to_pylist()
        if r["material_id"] == "helix"
    )
    expected = read_phonon(row).run_qpoints(Q_POINTS).frequencies
    for phonon in (phonopy.load(path, log_level=0), read_phonopy(path).phonon):
        assert np.allclose(phonon.run_qpoints(Q_POINTS).frequencies, expected, atol=1e-6)


def test_a_light_site_has_no_force_constants(datasets, tmp_path):
    list(build_site(datasets[1:], tmp_path, full=False))
    assert not [*tmp_path.rglob("*.xz"), *tmp_path.rglob("*phononwebsite*")]
    assert [*tmp_path.rglob("*.cif")]


def test_one_dataset_needs_no_label_beside_the_potential(datasets, tmp_path):
    list(build_site(datasets[1:], tmp_path, full=False))
    assert set(table(tmp_path)["potential"]) == {EMT}


def test_building_again_writes_only_what_is_missing(datasets, tmp_path):
    list(build_site(datasets[1:], tmp_path, full=False))
    pages = sorted(tmp_path.glob("materials/*/ase*EMT-????????.json"))
    assert len(pages) == 2
    kept, lost = pages
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    list(build_site(datasets[1:], tmp_path, full=False))
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == content


def test_a_fuller_site_is_built_over_a_light_one(datasets, tmp_path):
    list(build_site(datasets[1:], tmp_path, full=False))
    list(build_site(datasets[1:], tmp_path, full=True))
    assert [*tmp_path.rglob("*.xz")]


def test_a_page_cut_short_is_written_anew(datasets, tmp_path):
    list(build_site(datasets[1:], tmp_path, full=False))
    [path] = tmp_path.glob("materials/helix/ase*EMT-????????.json")
    content = path.read_bytes()
    path.write_bytes(content[:20])
    list(build_site(datasets[1:], tmp_path, full=False))
    assert path.read_bytes() == content


def test_units_and_meanings_come_from_the_schema(site):
    described = {column["name"]: column for column in about(site)["columns"]}
    for name in ("score", "min_frequency_commensurate", "helicity_wave"):
        column = CATALOG_TABLES["chirality"].column(name)
        assert (described[name]["unit"], described[name]["description"]) == (
            column.unit,
            column.description,
        )


def test_the_card_of_the_potential_reaches_pages_and_citation_file(site):
    card = emt().card
    provenance = page(site, "helix")["provenance"]
    assert provenance["citation"] == card.citation
    assert provenance["licence"] == card.licence
    assert provenance["limits"] == list(card.limits)
    references = yaml.safe_load((site / "CITATION.cff").read_text())["references"]
    assert card.citation in [reference["title"] for reference in references]
    for text in (provenance["bibtex"], (site / "CITATION.bib").read_text()):
        assert f"title = {{{{{card.citation}}}}}" in text


def test_citation_file_is_yaml_with_what_the_format_requires(site):
    content = yaml.safe_load((site / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(content)


def test_programs_find_all_rows_with_their_pages_and_meanings(site):
    index = json.loads((site / "index.json").read_text())
    lines = (site / "materials.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    frame = table(site)
    assert (index["format"], index["format_version"]) == ("chiralscreen-catalogue", 1)
    assert index["n_rows"] == len(rows) == len(frame)
    assert [row["material_id"] for row in rows] == frame["material_id"].tolist()
    assert {column["name"] for column in index["columns"]} == set(frame.columns)
    described = {column["name"] for column in index["rows"]}
    for row in rows:
        assert set(row) <= described
        assert None not in row.values()
        content = json.loads((site / unquote(row["page"])).read_text())
        assert content["potential"] == row["potential"]
    for name in index["files"]:
        assert "<" in name or (site / name).is_file()


def test_a_folder_without_a_catalogue_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(RemediableError, match="no catalogue") as error:
        list(build_site([tmp_path], tmp_path / "out"))
    assert "screen" in error.value.remedy


def test_the_bundle_was_made_from_the_sources():
    web = Path(__file__).parents[3] / "web"
    if not web.is_dir():
        pytest.skip("the sources of the bundle are not here")
    files = [*sorted(web.glob("src/*")), web / "package-lock.json"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    stated = (ASSETS / "app" / "SOURCES.sha256").read_text().strip()
    assert stated == digest, "run `npm run build` in web/"


def test_the_bundle_is_small_has_its_licences_and_asks_nobody():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) < LARGEST_BUNDLE
    licences = (ASSETS / "app" / "LICENSES.txt").read_text()
    for library in ("three", "uplot", "hyparquet", "@tanstack/virtual-core"):
        assert f"{library} " in licences
    index = (ASSETS / "index.html").read_text()
    assert "default-src 'none'" in index
    assert "//" not in index.replace("<!doctype", "")
    html5lib.HTMLParser(strict=True).parse(index)
