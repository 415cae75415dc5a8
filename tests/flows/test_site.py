"""The catalogue site in a real browser: what a reader does with a mouse, a keyboard and a link."""

import gzip
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from PIL import Image, ImageSequence
from playwright import sync_api as playwright
from typer.testing import CliRunner

from flows.site_cli import app
from tasks.chirality.analysis import sample_modes
from tasks.chirality.brillouin import compute_helicity
from tasks.chirality.modes import compute_modes
from tasks.site.report import write_report
from tasks.site.server import make_site_server
from tasks.site.table import write_table
from tasks.storage import CATALOG_TABLES, TABLES, Dataset
from tests.conftest import NO_BROWSER
from tests.crystals import quartz, spring_phonon, zincblende
from tests.tasks.alloys import EMT, analysed
from tests.tasks.site.datasets import two_datasets

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
FIRST, SECOND = (quote(f"{EMT} ({name})", safe="") for name in ("first", "second"))
PAGES = (
    "#/",
    f"#/material/helix?potential={FIRST}",
    f"#/material/copper?potential={FIRST}",
    f"#/compare?a={quote('helix@')}{FIRST}&b={quote('helix@')}{SECOND}",
)
# What a reader without patience waits; a busy machine gets several times as much.
FIRST_TABLE, FILTER, SLOW = 2.0, 0.2, 6


@pytest.fixture(scope="module")
def browser() -> Iterator:
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if chromium is None:
        pytest.skip(NO_BROWSER)
    # Pictures are drawn without a GPU, which takes its time on a busy machine.
    playwright.expect.set_options(timeout=30_000)
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a site while it is served."""
    with make_site_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    roots = two_datasets(tmp_path_factory.mktemp("datasets"))
    output = tmp_path_factory.mktemp("site") / "a site"
    result = CliRunner().invoke(
        app, ["catalogue", *map(str, roots), "-o", str(output), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "7 pages" in result.output
    return output


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    with served(folder) as url:
        yield url


@pytest.fixture
def visit(browser, address) -> Iterator[Callable]:
    """Open a page of the site, in a window that complains of errors and of foreign requests."""
    contexts, complaints = [], []

    def open_page(path: str = "", base: str = address, **options: object):
        context = browser.new_context(**{"viewport": {"width": 1360, "height": 860}} | options)
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                complaints.append(request.url)
                if not request.url.startswith((base, "data:", "blob:"))
                else None
            ),
        )
        page.goto(base + path)
        page.wait_for_selector("main > :not(.wait)")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def own_page(browser, address) -> Iterator:
    page = browser.new_page()
    page.goto(f"{address}#/own")
    yield page
    page.close()


def ids(page) -> list[str]:
    """Names of the rows in sight."""
    return page.eval_on_selector_all("tr[data-id]", "rows => rows.map(row => row.dataset.id)")


def found(page) -> int:
    return int(page.inner_text(".found strong").replace(",", ""))


def await_count(page, count: int) -> None:
    playwright.expect(page.locator(".found strong")).to_have_text(f"{count:,}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [320, 390, 1360])
def test_pages_show_without_complaint_and_fit_their_window(visit, path, width):
    page = visit(path, viewport={"width": width, "height": 800})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title()


# Links inside a sentence or a list of facts are as high as its lines.
SMALL_TARGETS = """
    [...document.querySelectorAll('a[href], button, select, input, summary')]
      .filter(element => !element.matches('p a, dd a, li a, .skip') && element.checkVisibility())
      .map(element => element.closest('label') ?? element)
      .map(element => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && Math.min(box.width, box.height) < 23.9)
      .map(([text, box]) => `${text} ${box.width} x ${box.height}`)
"""
SAME_NAMES = """
    [...document.querySelectorAll('section, nav, form, header, main, [role=region]')]
      .map(element => element.getAttribute('aria-label')).filter(Boolean)
      .filter((name, i, all) => all.indexOf(name) !== i)
"""


@pytest.mark.parametrize("path", PAGES)
def test_targets_are_large_enough_for_fingers_and_landmarks_have_names_of_their_own(visit, path):
    page = visit(path, viewport={"width": 360, "height": 800})
    for fold in ("details.side", ".filters details", ".everything", ".axis details"):
        page.eval_on_selector_all(fold, "all => all.forEach(one => { one.open = true })")
    page.wait_for_timeout(300)
    assert page.evaluate(SMALL_TARGETS) == []
    assert page.evaluate(SAME_NAMES) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("#/materiel/helix", 'no page "/materiel/helix"'),
        ("#/compare?a=helix", "choose two rows"),
    ],
)
def test_pages_that_do_not_exist_say_so(visit, path, words):
    page = visit(f"{path}&unit=cm-1" if "?" in path else f"{path}?unit=cm-1")
    playwright.expect(page.locator(".sorry")).to_contain_text(words)
    page.click("text=Back to the table")
    await_count(page, 7)
    assert page.url.endswith("unit=cm-1")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"#/material/nowhere?potential={FIRST}", '"nowhere" with the potential'),
        ("#/material/a%2", '"a%2" in this catalogue'),
        (PAGES[1], "is damaged"),
    ],
)
def test_files_that_are_missing_or_damaged_are_told_in_words(
    browser, folder, tmp_path, path, words
):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for file in (copy / "materials" / "helix").glob("*.json"):
        file.write_text(file.read_text()[:-10])
    with served(copy) as base:
        page = browser.new_page()
        page.goto(base + path)
        playwright.expect(page.locator(".sorry")).to_contain_text(words)
        page.close()


def test_a_report_fits_a_phone(browser, tmp_path):
    """Wide tables scroll by themselves."""
    [root, _] = two_datasets(tmp_path)
    report = tmp_path / "report.html"
    write_report(Dataset(root), report, n_drawn=1)
    page = browser.new_page(viewport={"width": 320, "height": 700})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate(SMALL_TARGETS) == []
    assert "III achiral, no inversion" in page.inner_text("body")
    page.close()


def test_filters_select_rows_and_stand_in_the_link(visit):
    page = visit()
    await_count(page, 7)
    page.check("input[name=chirality_class][value=II]")
    await_count(page, 2)
    assert set(ids(page)) == {"helix"}
    page.fill("#with", "si")
    await_count(page, 0)
    assert "chirality_class=II" in page.url
    page.wait_for_url("**with=Si**")
    page.click("text=Clear all filters")
    await_count(page, 7)
    assert page.url.endswith("#/")


@pytest.mark.parametrize(
    ("act", "names"),
    [
        (lambda page: page.fill("#without", "Cu, Au"), {"carbide"}),
        (lambda page: page.fill("#groups", "150-160"), {"helix"}),
        (lambda page: page.fill("#groups", "F-43m, 225"), {"zincblende", "carbide", "copper"}),
        (lambda page: page.select_option("#flag-stable", "no"), {"zincblende"}),
        (lambda page: page.select_option("#flag-reliable", "yes"), {"helix"}),
        (lambda page: page.select_option("#flag-nac", "no"), {"helix", "zincblende"}),
        (lambda page: page.fill("#search", "Cu3"), {"helix"}),
        (lambda page: page.fill("#search", "Au2Cu6"), {"helix"}),
        (lambda page: page.fill("#search", "c-si"), {"carbide"}),
        (lambda page: page.fill("#only", "Cu, C"), {"copper"}),
        (lambda page: page.fill("[data-range=score-min]", "0"), {"helix"}),
        (lambda page: page.check("input[name=outcome][value=failed]"), {"wurtzite", "carbide"}),
        (
            lambda page: page.check("input[name=helicity_wave][value=i]"),
            {"wurtzite", "zincblende", "carbide"},
        ),
    ],
)
def test_each_filter_keeps_what_it_names(visit, act, names):
    page = visit()
    act(page)
    playwright.expect(page.locator(".found")).to_contain_text("of 7")
    assert set(ids(page)) == names


def test_crystals_with_a_warning_are_hidden_by_its_box(visit, folder):
    warnings = pq.read_table(folder / "materials.parquet")["warnings"].to_pylist()
    [code, *_] = [text.split(", ")[0] for text in warnings if text]
    page = visit()
    page.click("summary:has-text('Without the warnings')")
    page.check(f"input[name=unwarned][value={code}]")
    await_count(page, sum(code not in (text or "").split(", ") for text in warnings))


def test_a_symbol_of_no_element_is_told(visit):
    page = visit()
    page.fill("#with", "Cu, Xx")
    playwright.expect(page.locator("#with-wrong")).to_have_text("no such element: Xx")
    page.wait_for_url("**with=Cu**")
    page.fill("#with", "Cu")
    playwright.expect(page.locator("#with-wrong")).to_be_empty()


def test_the_periodic_table_requires_and_excludes(visit):
    page = visit()
    page.click("text=Periodic table")
    page.click("[data-symbol=Cu]")
    playwright.expect(page.locator("#with")).to_have_value("Cu")
    assert "carbide" not in ids(page)
    page.click("[data-symbol=Cu]")
    playwright.expect(page.locator("#without")).to_have_value("Cu")
    assert ids(page) == ["carbide"]
    assert page.locator("[data-symbol=Xe]").is_disabled()


def test_a_shared_link_shows_the_same_selection(visit):
    page = visit()
    page.check("input[name=outcome][value=failed]")
    page.fill("#search", "i")
    page.click("[data-sort=material_id]")
    playwright.expect(page).to_have_url(re.compile("(?=.*q=i)(?=.*sort=material_id)"))
    playwright.expect(page.locator("tr[data-id=wurtzite]")).to_have_count(1)
    other = visit(page.url.split("/", 3)[3])
    playwright.expect(other.locator("tr[data-id=wurtzite]")).to_have_count(1)
    assert ids(other) == ids(page)
    assert other.is_checked("input[name=outcome][value=failed]")
    assert other.input_value("#search") == "i"
    assert other.get_attribute("th:has([data-sort=material_id])", "aria-sort") == "ascending"


def test_sorting_goes_both_ways_with_empty_values_last(visit):
    page = visit()
    page.click("[data-sort=mean_optical_helicity]")
    cells = "tr[data-id] td:nth-child({})"
    column = page.eval_on_selector_all(
        "thead th",
        "all => all.findIndex(th => th.querySelector('[data-sort=mean_optical_helicity]')) + 1",
    )

    def values() -> list[str]:
        return page.eval_on_selector_all(
            cells.format(column), "all => all.map(cell => cell.innerText)"
        )

    down = values()
    page.click("[data-sort=mean_optical_helicity]")
    up = values()
    assert down[-4:] == up[-4:] == ["–"] * 4
    assert down[:3] == up[:3][::-1]
    assert float(down[0]) > 0


def test_the_selection_is_saved_as_csv_and_parquet(visit, tmp_path):
    page = visit("#/?outcome=screened")
    await_count(page, 3)
    frames = []
    for button, read in (("#csv", pd.read_csv), ("#parquet", pd.read_parquet)):
        with page.expect_download() as download:
            page.click(button)
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        frames.append(read(path))
    for frame in frames:
        assert frame["material_id"].tolist() == ["helix", "helix", "zincblende"]
        assert frame["stable"].astype(bool).tolist() == [True, True, False]
    assert np.allclose(frames[0]["score"][:2], frames[1]["score"][:2].astype(float))


def test_spreadsheets_compute_nothing_of_a_saved_selection(visit, folder, tmp_path):
    """Formulas are made texts; point groups, which begin with a minus, stay."""
    texts = ["=1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "-43m", "Te"]
    site = load_site(folder, tmp_path / "hostile", len(texts))
    table = pq.read_table(site / "materials.parquet")
    index = table.column_names.index("point_group")
    table = table.set_column(index, table.schema.field(index), pa.array(texts))
    write_table(table, site / "materials.parquet")
    with served(site) as base:
        page = visit("", base)
        await_count(page, len(texts))
        with page.expect_download() as download:
            page.click("#csv")
        saved = pd.read_csv(download.value.path(), quotechar='"')["point_group"]
    assert sorted(saved) == sorted([*(f"'{text}" for text in texts[:3]), *texts[3:]])


def test_a_material_opens_by_keyboard_alone_and_back_leads_to_the_same_selection(visit):
    page = visit("#/?outcome=screened")
    page.focus(".viewport")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("h1")).to_contain_text("zincblende")
    page.go_back()
    await_count(page, 3)


def test_a_mode_moves_the_crystal_until_it_is_paused(visit):
    page = visit(PAGES[1])
    canvas = page.locator(".scene canvas").first

    def picture() -> bytes:
        return canvas.screenshot()

    page.click("[data-band='7']")
    playwright.expect(page.locator("#play")).to_have_text("Pause")
    assert "band=7" in page.url
    first = picture()
    page.wait_for_timeout(400)
    assert picture() != first
    page.click("#play")
    still = picture()
    page.wait_for_timeout(300)
    assert picture() == still


def read_picture(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB"), dtype=int)


def find_outline(picture: bytes) -> np.ndarray:
    """Pixels that are not of the background's colour."""
    pixels = read_picture(picture)
    return np.abs(pixels - pixels[5, 5]).sum(axis=2) > 60


def test_the_crystal_is_seen_along_each_axis(visit):
    page = visit(PAGES[1])
    canvas = page.locator(".scene canvas").first
    seen = []
    for axis in "abc":
        page.click(f"[aria-label='View along {axis}']")
        page.wait_for_timeout(200)
        seen.append(canvas.screenshot())
    assert len({*seen}) == 3


def test_both_hands_are_mirror_images_that_turn_together_in_opposite_colours(visit):
    page = visit(PAGES[1])
    page.click("#play")
    playwright.expect(page.locator("#play")).to_have_text("Pause")
    page.check("#mirror")
    page.focus(".scene canvas")
    page.keyboard.press("ArrowRight")
    page.click("#play")
    page.wait_for_timeout(300)
    canvases = page.locator("[aria-label=Structure] .scene canvas").all()
    left, right = (canvas.screenshot() for canvas in canvases)
    first, second = find_outline(left), find_outline(right)
    assert first.sum() > 1000
    # Outlines differ by parts of a pixel.
    assert 3 * (first != second[:, ::-1]).mean() < (first != second).mean()
    pixels = [read_picture(picture) for picture in (left, right)]
    blue = sorted((colours[..., 2] - colours[..., 0] > 15).sum() for colours in pixels)
    assert blue[1] > 30 + 5 * blue[0]
    page.uncheck("#mirror")
    assert page.locator("[aria-label=Structure] .scene canvas").count() == 1
    assert visit(PAGES[2]).locator("#mirror").count() == 0


def test_a_mode_is_saved_as_a_still_and_as_a_movie_of_one_period(visit):
    page = visit(PAGES[1])
    with page.expect_download() as download:
        page.click("text=Movie (PNG)")
    with Image.open(download.value.path()) as movie:
        assert movie.n_frames == 40
        assert movie.info["loop"] == 0
        frames = [
            np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(movie)
        ]
    assert (frames[0] != frames[20]).any()
    steps = [np.abs(a - b).sum() for a, b in pairwise([*frames, frames[0]])]
    assert steps[-1] < 3 * np.median(steps)  # the loop closes
    with page.expect_download() as download:
        page.click("text=Still (PNG)")
    assert download.value.suggested_filename == "helix.png"
    with Image.open(download.value.path()) as still:
        assert np.asarray(still).shape[:2] == frames[0].shape[:2]


def test_a_link_to_a_mode_chooses_it(visit):
    page = visit(f"{PAGES[1]}&q=A&band=5")
    assert page.input_value("#point") == "A"
    assert page.get_attribute("[data-band='5']", "aria-pressed") == "true"


def test_bands_tell_the_mode_under_the_pointer_and_to_the_keyboard(visit):
    page = visit(PAGES[1])
    box = page.locator(".bands .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    playwright.expect(page.locator(".tip")).to_contain_text("THz")
    page.focus(".bands .chart")
    page.keyboard.press("ArrowUp")
    playwright.expect(page.locator("#live")).to_contain_text("band")


def test_bands_without_charges_are_drawn_on_demand(visit, tmp_path):
    """Dashed below the others, which stay; a crystal without charges has no such box."""
    dataset = analysed(tmp_path, zinc=spring_phonon(zincblende(), born=True))
    result = CliRunner().invoke(app, ["catalogue", str(dataset.root), "-o", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    with served(tmp_path / "site") as base:
        page = visit("#/material/zinc?potential=external", base)
        page.wait_for_selector(".bands canvas")
        drawn = "document.querySelector('.bands canvas').toDataURL()"
        before = page.evaluate(drawn)
        page.check("#without-charges")
        assert page.evaluate(drawn) != before
        page.uncheck("#without-charges")
        assert page.evaluate(drawn) == before
        page.click("section[aria-label=Infrared] summary")
        assert "Δε" in page.inner_text("section[aria-label=Infrared]")
        page.close()
    assert visit(PAGES[1]).locator("#without-charges").count() == 0


def test_light_sees_the_stored_lines_of_one_crystal_and_of_two(visit, folder):
    """Raman lines by channel in the unit of the reader; infrared ones where there are charges."""
    page = visit(f"{PAGES[1]}&unit=cm-1")
    [path] = (folder / "materials" / "helix").glob("*first*.cif")
    row = json.loads(path.with_suffix(".json").read_text())["row"]
    lines = zip(row["raman_frequencies"], row["raman_axes"], row["raman_channels"], strict=True)
    stored = [33.35641 * nu for nu, axis, channel in lines if axis == 0 and "RL" in channel]
    section = page.locator("section[aria-label^='Circular Raman']").first
    section.locator("summary").click()
    told = section.locator("li", has_text="RL: ").inner_text()
    assert [float(text) for text in re.findall(r"[\d.]+(?= \()", told)] == pytest.approx(
        stored, rel=1e-3
    )
    assert stored
    assert page.locator("section[aria-label=Infrared]").count() == 0
    section = visit(PAGES[3]).locator("section[aria-label^='Circular Raman']").first
    assert section.locator("ul").count() == 2
    assert section.locator("canvas").count() == 1


def test_switching_the_potential_shows_its_numbers(visit, folder):
    page = visit(PAGES[1])
    stored = pq.read_table(folder / "materials.parquet").to_pandas()
    stored = stored[stored["material_id"] == "helix"].set_index("potential")[
        "min_frequency_commensurate"
    ]
    for name in ("second", "first"):
        page.click(f".switch a:has-text('({name})')")
        playwright.expect(page.locator(".switch [aria-current]")).to_contain_text(name)
        text = page.inner_text(".facts div:last-child dd")
        assert float(text.split()[0]) == pytest.approx(stored[f"{EMT} ({name})"], rel=0.01)


def test_the_unit_of_frequencies_is_chosen_once_and_stands_in_every_link(visit, tmp_path):
    """Numbers, limits of ranges, axes and lists change together; files keep THz."""
    page = visit("#/?chirality_class=II&min_frequency_commensurate=0.5..")
    await_count(page, 2)

    def lowest() -> float:
        head = page.locator("thead button").all_inner_texts()
        [place] = [i for i, text in enumerate(head) if text.startswith("min ν")]
        return float(page.locator("tr[data-id=helix] td").nth(place + 1).inner_text())

    stored = lowest()
    page.select_option("#unit", "cm-1")
    playwright.expect(page.locator(".grid thead")).to_contain_text("cm⁻¹")
    assert "unit=cm-1" in page.url
    assert "min_frequency_commensurate=0.5.." in page.url
    assert lowest() == pytest.approx(33.3564 * stored, rel=0.01)
    limit = page.input_value("[data-range='min_frequency_commensurate-min']")
    assert float(limit) == pytest.approx(16.6782, rel=1e-5)
    await_count(page, 2)
    page.click("tr[data-id=helix] a")
    playwright.expect(page.locator(".modes thead")).to_contain_text("cm⁻¹")
    assert "unit=cm-1" in page.url
    page.click("[data-band='7']")
    playwright.expect(page.locator(".player [role=status]")).to_contain_text("cm⁻¹")
    assert "unit=cm-1" in page.url
    assert "k in Å⁻¹ with 2π" in page.inner_text("[aria-label=Axes]")
    assert "THz" not in page.inner_text("[aria-label=Axes]")
    with page.expect_download() as download:
        page.click("text=Mode table (CSV)")
    frequencies = pd.read_csv(download.value.path())["frequency"]
    assert frequencies.max() < 20
    page.click(".home")
    playwright.expect(page.locator(".grid thead")).to_contain_text("cm⁻¹")
    page.select_option("#unit", "THz")
    playwright.expect(page.locator(".grid thead")).to_contain_text("THz")
    assert "unit" not in page.url


def test_columns_are_named_as_in_the_dataset_and_explained(visit):
    """Headings on hover, choices and lists of stored numbers in sight."""
    column = CATALOG_TABLES["chirality"].column("min_frequency_commensurate")
    told = f"{column.name}: {column.description}"
    page = visit()
    assert page.get_attribute(f"[data-sort={column.name}]", "title") == told
    page.click("summary:has-text('Columns')")
    playwright.expect(page.locator(".menu")).to_contain_text(column.name)
    playwright.expect(page.locator("details:has(.menu)")).to_have_css("border-style", "none")
    page = visit(PAGES[1])
    assert page.get_attribute(".facts div:last-child", "title") == told
    page.click("summary:has-text('All stored numbers')")
    stored = page.locator(".everything .pairs > div", has_text=column.name)
    assert stored.first.get_attribute("title") == told
    heading = f"l_z: {TABLES['modes'].column('l_z').description}"
    titles = page.eval_on_selector_all(".modes th", "all => all.map(th => th.title)")
    assert heading in titles


def test_skipping_to_the_content_stays_on_the_page(visit):
    page = visit(PAGES[1])
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert "material/helix" in page.url
    assert page.evaluate("document.activeElement.id") == "content"


def test_tables_alone_make_pages_with_structures_tensors_and_a_word_on_the_rest(visit, tmp_path):
    """The catalogue that the documentation's tests read, released without force constants."""
    small = Path(__file__).parents[1] / "docs" / "catalogue"
    result = CliRunner().invoke(app, ["catalogue", str(small), "-o", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    with served(tmp_path / "site") as url:
        page = visit("#/material/quartz-152?unit=meV", url)
        playwright.expect(page.locator(".warnings")).to_contain_text("are not stored")
        assert page.locator(".scene canvas").count() == 1
        assert page.locator("[aria-label='Response tensor'] table").count() == 1
        assert "meV Å" in page.inner_text("[aria-label=Axes]")
        assert page.locator("text=Structure (CIF)").count() == 1
        page.close()


def test_a_page_tells_the_evidence_and_what_a_laboratory_asks(visit):
    """Of an alloy of one's own by another potential than that of the hull nothing is known."""
    page = visit(PAGES[1])
    playwright.expect(page.locator(".badge")).to_have_text("no evidence of existence")
    laboratory = page.locator("[aria-label='For the laboratory']")
    for words in ("not known whether it was made", "energies of another potential", "g/cm³"):
        playwright.expect(laboratory).to_contain_text(words)


def test_pages_tell_error_bars_evidence_validation_and_what_to_cite(visit, folder, tmp_path):
    page = visit(PAGES[1])
    assert "no error bar" in page.inner_text("[aria-label='Error bars']")
    assert "No crystal was validated" in page.inner_text("[aria-label='Validated crystals']")
    page.click("summary:has-text('BibTeX')")
    assert "@misc{chiralscreen," in page.inner_text(".bibtex")
    small = Path(__file__).parents[1] / "docs" / "catalogue"
    result = CliRunner().invoke(app, ["catalogue", str(small), "-o", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    with served(tmp_path / "site") as base:
        page = visit("#/material/quartz-152?unit=cm-1", base)
        table = page.locator("[aria-label='Validated crystals'] tbody")
        playwright.expect(table.locator("tr").first).to_contain_text("SiO2")
        errors = [float(text) for text in table.locator("td:last-child").all_inner_texts()[:2]]
        assert min(errors) > 5  # cm-1
        page.close()


def show_own(page, path: Path) -> None:
    page.set_input_files("#own-file", path)
    page.wait_for_selector(".own .bands canvas")


def read_mode_table(page, n_bands: int) -> tuple[np.ndarray, pd.DataFrame]:
    """q-points, and all numbers of the modes."""
    with page.expect_download() as download:
        page.click("text=Mode table (CSV)")
    table = pd.read_csv(download.value.path())
    return table[["q_a", "q_b", "q_c"]].to_numpy()[::n_bands], table


@pytest.fixture(scope="module")
def own_phonon():
    return spring_phonon(quartz(), 3)


def write_own(phonon, kind: str, folder: Path) -> Path:
    """Files of phonopy, as it writes them itself."""
    path = folder / kind
    if kind == "band.yaml":
        lines = ([0, 0, 0], [0, 0, 0.5], 7), ([0.01, 0.02, 0.03], [0.4, 0, 0], 5)
        points, labels = [np.linspace(*line) for line in lines], ["$\\Gamma$", "A", "x", "y"]
        phonon.run_band_structure(points, with_eigenvectors=True, labels=labels)
        phonon.write_yaml_band_structure(filename=path)
    elif kind == "mesh.yaml":
        phonon.run_mesh([3, 3, 2], with_eigenvectors=True)
        with chdir(folder):
            phonon.write_yaml_mesh()
    else:
        shown = phonon.replicate()
        compact = phonon.force_constants
        full = compact_fc_to_full_fc(phonon.primitive, compact)
        shown.force_constants = compact if kind == "compact.yaml" else full
        shown.save(path, settings={"force_constants": True})
    return path


@pytest.mark.parametrize("kind", ["compact.yaml", "full.yaml", "band.yaml", "mesh.yaml"])
def test_a_file_of_ones_own_has_the_modes_that_python_finds(visit, own_phonon, tmp_path, kind):
    page = visit("#/own")
    show_own(page, write_own(own_phonon, kind, tmp_path))
    n_bands = 3 * len(own_phonon.primitive)
    q_points, table = read_mode_table(page, n_bands)
    modes = compute_modes(own_phonon, q_points)
    sample = sample_modes(own_phonon, modes, 1e-3)
    frequencies = table["frequency"].to_numpy().reshape(-1, n_bands)
    rounding = 1e-6 if "band" not in kind and "mesh" not in kind else 1e-5
    assert np.allclose(frequencies, modes.frequencies, rtol=0, atol=rounding)
    momenta = table[["l_x", "l_y", "l_z"]].to_numpy().reshape(-1, n_bands, 3)
    assert np.abs(momenta).max() > 0.3
    assert np.allclose(momenta, sample.angular_momentum, atol=1e-5)
    helicity = table["helicity"].to_numpy().reshape(-1, n_bands)
    assert np.allclose(
        helicity, compute_helicity(sample.angular_momentum, sample.images), atol=1e-5
    )


def test_a_dropped_file_is_played_and_never_leaves_the_browser(
    visit, address, folder, own_phonon, tmp_path
):
    """Nothing is asked of the server but its own files."""
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append((request.method, request.url)))
    text = write_own(own_phonon, "band.yaml", tmp_path).read_text()
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "band.yaml"));
            dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
        }""",
        text,
    )
    page.wait_for_selector(".own .bands canvas")
    assert page.url.endswith("#/own")
    page.click("#play")
    playwright.expect(page.locator("#play")).to_have_text("Pause")
    paths = [url.removeprefix(address) for _, url in asked]
    assert {method for method, _ in asked} == {"GET"}
    assert [path for path in paths if not (folder / path).is_file()] == []


BAND = (
    "lattice: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n"
    "points: [{symbol: Te, coordinates: [0, 0, 0], mass: 1}]\n"
)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"[" * 100_000, "nested more deeply"),
        ("a.yaml", b"a: [1, 2", "no YAML"),
        ("a.yaml", b"just a text", "no names with values"),
        ("a.yaml", b"phonopy: {version: 4}", "neither eigenvectors nor force constants"),
        (
            "a.yaml",
            f"{BAND}phonon: [{{q-position: [0,0,0], band: [{{frequency: 1}}]}}]".encode(),
            "--eigvecs",
        ),
        ("a.yaml", f"{BAND.replace('Te', 'Xx')}phonon: [{{}}]".encode(), "Xx is no element"),
        (
            "a.yaml",
            f"{BAND}phonon: [{{q-position: [0, x, 0], band: [{{}}]}}]".encode(),
            "--eigvecs",
        ),
        ("a.yaml.gz", b"no gzip", "no gzip file"),
        ("a.yaml.gz", gzip.compress(bytes(70_000_000)), "unpacks to more than 64 MB"),
        ("a.yaml.xz", b"", "unpack it first"),
        ("<img src=x onerror=alert(1)>.yaml", b"", "onerror=alert(1)"),
    ],
)
def test_what_is_no_file_of_phonopy_is_refused_in_words(own_page, name, content, words):
    own_page.set_input_files("#own-file", {"name": name, "mimeType": "", "buffer": content})
    playwright.expect(own_page.locator(".dropzone [role=status]")).to_contain_text(words)
    assert own_page.locator(".own > *, main img").count() == 0


def test_two_rows_are_compared(visit):
    page = visit("#/?chirality_class=II")
    for box in page.locator("tr[data-id=helix] input").all():
        box.check()
    page.click("text=Compare the two")
    playwright.expect(page.locator("h1")).to_have_text("Comparison")
    assert page.locator("tr.differs").count() > 3
    assert page.locator(".scene canvas").count() == 2


def test_the_figure_is_a_drawing_of_all_bands(visit, tmp_path):
    page = visit(PAGES[1])
    with page.expect_download() as download:
        page.click("text=Figure (SVG)")
    text = Path(download.value.path()).read_text()
    assert text.startswith("<svg")
    assert text.count('<path stroke="rgb(') > 100


def test_text_of_others_is_shown_and_never_run(visit, folder, tmp_path):
    hostile = (
        '"><img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>'
    )
    copy = shutil.copytree(folder, tmp_path / "copy")
    [path] = [
        p
        for p in (copy / "materials" / "helix").glob("*first*.json")
        if ".modes" not in p.name and ".optimade" not in p.name and "website" not in p.name
    ]
    content = json.loads(path.read_text())
    content["row"] |= {"explanation": hostile, "database": hostile, "url": "javascript:alert(1)"}
    content["warnings"] = [hostile]
    path.write_text(json.dumps(content))
    with served(copy) as base:
        page = visit(PAGES[1], base)
        playwright.expect(page.locator(".warnings li")).to_have_text(hostile)
        assert page.locator("main img, main script, a[href^=javascript]").count() == 0
        assert "broken" not in page.title()


def load_site(folder: Path, output: Path, n_rows: int) -> Path:
    """Site whose table repeats the rows with other numbers, for measurements of speed only."""
    output.mkdir()
    shutil.copytree(folder / "app", output / "app")
    for name in ("index.html", "site.json"):
        shutil.copy(folder / name, output)
    rng = np.random.default_rng(0)
    table = pq.read_table(folder / "materials.parquet")
    table = table.take(pa.array(rng.integers(0, len(table), n_rows)))
    columns = {name: table[name] for name in table.column_names}
    columns["material_id"] = pa.array(
        [f"{name}-{i}" for i, name in enumerate(table["material_id"].to_pylist())]
    )
    for field in table.schema:
        if pa.types.is_floating(field.type):
            values = table[field.name].to_numpy(zero_copy_only=False) * rng.uniform(
                0.5, 1.5, n_rows
            )
            columns[field.name] = pa.array(values.astype("f4"), from_pandas=True)
    write_table(pa.table(columns), output / "materials.parquet")
    return output


@pytest.mark.parametrize("n_rows", [100, 100_000])
def test_the_table_is_there_at_once_and_filters_at_once(visit, folder, tmp_path, n_rows, capsys):
    with served(load_site(folder, tmp_path / "load", n_rows)) as base:
        page = visit("", base)
        await_count(page, n_rows)
        page.wait_for_timeout(200)
        acts = (
            lambda: page.check("input[name=chirality_class][value=II]"),
            lambda: page.fill("#with", "Cu"),
            lambda: page.fill("#search", "helix-1"),
            lambda: page.fill("[data-range=score-min]", "0.2"),
            lambda: page.click("text=Clear all filters"),
        )
        for act in acts:
            act()
            page.wait_for_timeout(400)
        await_count(page, n_rows)
        measured = page.evaluate(
            "performance.getEntriesByType('measure').map(m => [m.name, m.duration / 1000])"
        )
        page.focus(".viewport")
        page.keyboard.press("End")
        playwright.expect(page.locator(f"tr[aria-rowindex='{n_rows + 1}']")).to_be_visible()
    [first] = [seconds for name, seconds in measured if name == "first-table"]
    filters = [seconds for name, seconds in measured if name == "filter"]
    with capsys.disabled():
        print(f"\n{n_rows} rows: first table {first:.2f} s, slowest filter {max(filters):.3f} s")
    assert first < SLOW * FIRST_TABLE
    assert max(filters) < SLOW * FILTER


def test_serving_what_is_no_site_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["serve", str(tmp_path)])
    assert result.exit_code == 2


def test_a_catalogue_of_no_dataset_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["catalogue", str(tmp_path), "-o", str(tmp_path / "site")])
    assert result.exit_code == 2
    assert not (tmp_path / "site").exists()
