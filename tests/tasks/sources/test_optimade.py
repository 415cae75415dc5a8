"""Pages of a provider are saved as they arrive, and fetching continues where it stopped."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.failures import RemediableError
from tasks.sources import optimade, parse_record, read_raw_records
from tasks.sources.optimade import Query, fetch
from tests.tasks.sources.containers import CRYSTALS
from tests.tasks.sources.optimade_provider import NAMES, Provider, provider

__all__ = ["provider"]


def test_all_pages_become_one_source(provider, tmp_path):
    assert list(fetch(Query(provider, "nelements<3"), tmp_path / "pages")) == [1, 1, 1]
    records = [parse_record(raw) for raw in read_raw_records(tmp_path / "pages")]
    assert [record.material_id for record in records] == NAMES
    assert {record.provenance.database for record in records} == {"Example"}
    assert records[0].atoms.get_volume() == pytest.approx(CRYSTALS[NAMES[0]].get_volume())
    asked = parse_qs(urlsplit(Provider.asked[0]).query)
    assert asked["filter"] == ["nelements<3"]
    assert "cartesian_site_positions" in asked["response_fields"][0]


def test_fetching_continues_where_it_stopped(provider, tmp_path):
    query = Query(provider)
    assert list(fetch(query, tmp_path, max_pages=1)) == [1]
    assert list(fetch(query, tmp_path)) == [1, 1]
    assert list(fetch(query, tmp_path)) == []
    assert len(Provider.asked) == 3


def test_what_passes_is_tried_again(provider, tmp_path):
    Provider.failing["1"] = [503, 429]
    assert list(fetch(Query(provider), tmp_path)) == [1, 1, 1]


def test_a_failure_keeps_the_pages_so_far(provider, tmp_path):
    Provider.failing["2"] = [400]
    with pytest.raises(RemediableError, match="HTTP 400: told by the provider"):
        list(fetch(Query(provider), tmp_path))
    assert len(list(read_raw_records(tmp_path))) == 2
    assert list(fetch(Query(provider), tmp_path)) == [1]


def test_pages_of_two_queries_are_not_mixed(provider, tmp_path):
    list(fetch(Query(provider), tmp_path, max_pages=1))
    with pytest.raises(RemediableError, match="another query"):
        list(fetch(Query(provider, "nelements=1"), tmp_path))


def test_what_is_no_provider_is_told(provider, tmp_path, monkeypatch):
    monkeypatch.setattr(optimade.Query, "url", property(lambda q: f"{q.base_url}/page"))
    with pytest.raises(RemediableError, match="did not answer with JSON"):
        list(fetch(Query(provider), tmp_path))


@pytest.mark.parametrize("url", ["file:///etc", "ftp://example.org", "nonsense"])
def test_only_the_web_is_asked(tmp_path, url):
    with pytest.raises(RemediableError, match="no web address"):
        list(fetch(Query(url), tmp_path))
