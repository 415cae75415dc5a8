"""Providers that never end, lead elsewhere, answer slowly or with less than they tell of."""

import socket
import time
from urllib.parse import urlsplit

import pytest

from tasks.failures import RemediableError
from tasks.sources import paging, parse_record, read_raw_records
from tasks.sources.optimade import Query, fetch
from tasks.sources.paging import Client, list_saved_pages, resolve_link
from tests.tasks.sources.odd_provider import Provider, serve, url

__all__ = ["serve", "url"]


@pytest.mark.parametrize(
    ("kind", "words", "n_saved"),
    [
        ("loop", "sent a page again", 1),
        ("ring", "sent a page again", 3),
        ("same", "sent a page again", 1),
        ("empty", "sent 3 empty pages in turn", 1),
        ("more", "announces more structures but gives no next page", 1),
        ("counted", "announces 500 structures but gives no next page", 1),
        ("misspelt", "announces 2 structures but gives no next page", 1),
        ("file", "no web address", 1),
    ],
)
def test_pages_without_an_end_end_with_a_message_as_often_as_they_are_asked(
    url, tmp_path, kind, words, n_saved
):
    folder = tmp_path / "pages"
    for _ in range(2):
        with pytest.raises(RemediableError, match=words) as error:
            list(fetch(Query(f"{url}/{kind}"), folder))
        assert error.value.remedy
        assert len(list_saved_pages(folder)) == n_saved
        assert len(Provider.asked) < 12
    names = [parse_record(raw).material_id for raw in read_raw_records(folder)]
    assert len(names) == len(set(names)) == n_saved


@pytest.mark.parametrize(("kind", "counts"), [("gap", [1, 1]), ("none", [0]), ("odd", [1])])
def test_what_is_odd_but_ends_is_taken(url, tmp_path, kind, counts):
    assert list(fetch(Query(f"{url}/{kind}"), tmp_path / "pages")) == counts
    assert list(fetch(Query(f"{url}/{kind}"), tmp_path / "pages")) == []


@pytest.mark.parametrize("address", ["example", "http://", "http://127.0.0.1:9", "http://[::1"])
def test_a_mistyped_address_claims_no_folder(url, tmp_path, monkeypatch, address):
    monkeypatch.setattr(paging, "_FIRST_WAIT", 0.001)
    folder = tmp_path / "pages"
    with pytest.raises(RemediableError):
        list(fetch(Query(address), folder))
    assert not folder.exists()
    assert list(fetch(Query(f"{url}/end"), folder)) == [1]


def test_a_folder_that_was_claimed_without_a_page_is_free(url, tmp_path):
    (tmp_path / ".query.json").write_text('{"url": "http://elsewhere"}')
    assert list(fetch(Query(f"{url}/end"), tmp_path)) == [1]


@pytest.mark.parametrize("kind", ["abroad", "sent-on"])
def test_links_and_redirections_stay_at_the_host_unless_told(serve, tmp_path, monkeypatch, kind):
    home, elsewhere = serve(), serve()
    monkeypatch.setattr(Provider, "elsewhere", elsewhere)
    with pytest.raises(RemediableError, match="leads from") as error:
        list(fetch(Query(f"{home}/{kind}"), tmp_path))
    assert "--allow-host" in error.value.remedy
    assert not [path for path in Provider.asked if path.startswith("/end")]
    told = (urlsplit(elsewhere).netloc,)
    assert list(fetch(Query(f"{home}/{kind}"), tmp_path, hosts=told)) == [1]


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("https://db.example.org/v1/structures?page=2", True),
        ("https://DB.example.org:443/v1", True),
        ("http://db.example.org/v1", False),
        ("https://db.example.org:8443/v1", False),
        ("https://example.org/v1", False),
        ("https://db.example.org.evil.example/v1", False),
        ("https://db.example.org@evil.example/v1", False),
        ("http://127.0.0.1/v1", False),
        ("http://169.254.169.254/latest", False),
        ("http://[::1]/v1", False),
        ("http://2130706433/v1", False),
        ("ftp://db.example.org/v1", False),
        ("http://mirror.example.org/v1", True),
        ("http://mirror.example.org:81/v1", True),
        ("https://other.example.org:81/v1", True),
        ("https://other.example.org/v1", False),
    ],
)
def test_which_addresses_are_asked(address, is_allowed):
    hosts = ("mirror.example.org", "other.example.org:81")
    client = Client("a provider", "test", "https://db.example.org/optimade", hosts)
    if is_allowed:
        client.require_allowed(address)
    else:
        with pytest.raises(RemediableError):
            client.require_allowed(address)


def test_a_name_that_becomes_one_of_this_machine_is_not_asked(monkeypatch):
    """A provider may let its name stand for another address from one page to the next."""
    addresses = iter(["93.184.215.14", "127.0.0.1"])
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_: [(None, None, None, "", (next(addresses), 0))]
    )
    client = Client("a provider", "test", "http://db.example.org")
    with pytest.raises(RemediableError, match="private network"):
        client.require_allowed("http://db.example.org/v1")


def test_tls_is_added_and_never_left():
    client = Client("a provider", "test", "http://db.example.org")
    client.require_allowed("https://db.example.org/v1")
    here = "https://db.example.org/v1/structures"
    assert resolve_link("http://db.example.org/v1/structures?page=2", here) == f"{here}?page=2"
    assert resolve_link({"href": "?page=2"}, here) == f"{here}?page=2"
    assert resolve_link("http://db.example.org:81/v1", here) == "http://db.example.org:81/v1"
    assert resolve_link(None, here) is None


@pytest.mark.parametrize("kind", ["slow", "slow-headers"])
def test_an_answer_that_trickles_ends(url, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(paging, "_PAGE_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(RemediableError, match="no complete answer in time"):
        list(fetch(Query(f"{url}/{kind}"), tmp_path / "pages"))
    assert time.monotonic() - began < 5
    assert not (tmp_path / "pages").exists()


def test_a_run_has_its_time(url, tmp_path):
    with pytest.raises(RemediableError, match="time of this run is over") as error:
        list(fetch(Query(f"{url}/slow"), tmp_path / "pages", seconds=0.3))
    assert "--hours" in error.value.remedy


def test_an_answer_cut_short_is_asked_for_again(url, tmp_path):
    assert list(fetch(Query(f"{url}/cut"), tmp_path)) == [1]
    assert len(Provider.asked) == 3


def test_there_are_no_more_pages_than_names_can_tell_apart(url, tmp_path, monkeypatch):
    monkeypatch.setattr(paging, "_MAX_PAGES", 2)
    with pytest.raises(RemediableError, match="more than 2 pages"):
        list(fetch(Query(f"{url}/ring"), tmp_path))
    assert list(fetch(Query(f"{url}/ring"), tmp_path, max_pages=2)) == []


def test_errors_of_http_are_told_and_end(url, tmp_path, monkeypatch):
    """A status line that is none, from a server of another protocol."""
    monkeypatch.setattr(Provider, "do_GET", lambda self: self.wfile.write(b"220 ftp ready\r\n"))
    with pytest.raises(RemediableError, match="could not be read"):
        list(fetch(Query(f"{url}/end"), tmp_path))
