"""The documentation builds without a warning, and every link in it leads somewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
# Attributes by which a page makes a browser load something.
LOADING = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """Anchors, links and loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given["id"]} if "id" in given else set()
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.loaded += [given[name] for kind, name in LOADING if kind == tag and name in given]
        # A link to the home page of a page's topic is no request; a style sheet is one.
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("docs")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs", "auto"]
    command = [sys.executable, "-m", "sphinx", *options, "--doctree-dir", str(folder / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    """All pages, parsed."""
    return {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_page_of_the_sources_is_in_the_site(site):
    sources = (ROOT / "docs").rglob("*.md")
    missing = [
        path.name
        for path in sources
        if not (site / path.relative_to(ROOT / "docs").with_suffix(".html")).exists()
    ]
    assert missing == []


def test_every_internal_link_leads_to_a_page_and_a_heading(site, pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = target.is_file() and target.is_relative_to(site)
            anchored = not parts.fragment or target not in pages
            if not found or not (anchored or unquote(parts.fragment) in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for path, page in pages.items():
        outside = [address for address in page.loaded if urlsplit(address).netloc]
        assert outside == [], path
    for sheet in (site / "_static").rglob("*.css"):
        assert not re.search(r"(url\(|@import)[\"' ]*(https?:)?//", sheet.read_text("utf-8")), sheet


def test_search_finds_words_of_the_text(site):
    index = (site / "searchindex.js").read_text("utf-8")
    for word in ("cycloid", "enantiomorph", "wyckoff"):
        assert word in index
    assert (site / "search.html").exists()


def test_answers_of_the_guide_are_on_its_page(site):
    text = (site / "guide.html").read_text("utf-8")
    assert text.count("<table") >= 12
    assert 'class="dataframe' in text
    assert ".png" in text
    assert "Traceback" not in text


def test_reference_holds_functions_settings_and_commands(site):
    chirality = (site / "reference" / "tasks.chirality.html").read_text("utf-8")
    assert 'id="tasks.chirality.angular_momentum.angular_momentum"' in chirality
    assert chirality.index('<span class="pre">import</span>') < chirality.index('id="analysis"')
    assert "mesh_spacing" in (site / "reference" / "settings.html").read_text("utf-8")
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    for command in ("screen", "classify", "report", "train", "show", "settings"):
        assert f'id="chiralscreen-{command}"' in commands


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_first_pages_lead_to_files(name):
    text = (ROOT / name).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []
