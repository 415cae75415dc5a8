"""A folder that follows a query of a database."""

import pytest
from typer.testing import CliRunner

from flows.fetching import keep_fetched
from flows.sources_cli import app
from tasks.failures import RemediableError
from tasks.sources import parse_record, read_raw_records
from tests.tasks.sources.odd_provider import serve, url
from tests.tasks.sources.optimade_provider import NAMES, Provider, provider

__all__ = ["provider", "serve", "url"]


def names_in(folder) -> list[str]:
    return sorted(parse_record(raw).material_id for raw in read_raw_records(folder))


def test_a_folder_follows_what_the_provider_has(server, provider, tmp_path, monkeypatch):
    folder = tmp_path / "structures" / "binaries"
    assert keep_fetched(provider, folder, "nelements=2") == 3
    assert names_in(tmp_path / "structures") == sorted(NAMES)
    monkeypatch.setattr(Provider, "names", NAMES[:2])
    assert keep_fetched(provider, folder, "nelements=2") == 2
    assert names_in(tmp_path / "structures") == sorted(NAMES[:2])
    assert [path.name for path in folder.parent.iterdir()] == ["binaries"]


def test_a_provider_that_fails_leaves_the_folder_as_it_was(server, provider, tmp_path):
    folder = tmp_path / "binaries"
    keep_fetched(provider, folder)
    Provider.failing["1"] = [400]
    with pytest.raises(RemediableError, match="told by the provider"):
        keep_fetched(provider, folder)
    assert names_in(folder) == sorted(NAMES)
    Provider.asked.clear()
    keep_fetched(provider, folder)
    assert len(Provider.asked) == 2, "the first page had been saved by the run that failed"


def test_a_folder_of_other_things_is_not_touched(server, provider, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RemediableError, match="does not hold the pages"):
        keep_fetched(provider, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_command_tells_what_was_saved_and_why_it_ends(url, tmp_path):
    for kind, said in (("ring", "3 new structures in"), ("file", "1 new structures in")):
        folder = tmp_path / f"{kind} [new]"
        result = CliRunner().invoke(app, ["fetch", f"{url}/{kind}", "-o", str(folder)])
        assert result.exit_code == 2
        assert f"{said} {folder}" in result.output
        assert "what to do:" in result.output
