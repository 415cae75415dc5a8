"""Settings and the version at a terminal."""

from importlib.metadata import version

import pytest
from ase.io import read

from flows.setting_flags import FLAGS
from tasks.screening.settings import ScreenSettings, find_setting, read_settings
from tests.flows.conftest import DEMO, told
from tests.flows.terminals import printed_in_terminal


def test_version_is_that_of_the_installed_package():
    result = told("--version")
    assert result.returncode == 0
    assert result.stdout.strip() == f"chiralscreen {version('chiralscreen')}"


def test_printed_settings_are_a_file_that_config_takes(tmp_path):
    """A value that is no default comes back, and the rest is completed."""
    path = tmp_path / "own.yaml"
    path.write_text("phonons: {max_atoms: 77}\n")
    printed = told("settings", "--config", path)
    assert printed.returncode == 0, printed.stderr
    path.write_text(printed.stdout)
    assert "max_atoms: 77" in printed.stdout
    assert told("settings", "--config", path).stdout == printed.stdout
    path.write_text(told("settings").stdout)
    assert read_settings(path, {}) == ScreenSettings()


def test_a_misspelt_setting_is_told_with_the_one_that_is_meant(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("phonons: {displacment: 0.02}\n")
    result = told("screen", "demo", "-o", tmp_path / "out", "--config", path, "--dry-run")
    assert result.returncode == 2
    message, remedy = result.stderr.splitlines()
    assert "no setting phonons.displacment; did you mean displacement?" in message
    assert remedy.startswith("what to do:")


def test_help_of_the_command_has_an_example():
    assert "chiralscreen settings >" in told("settings", "--help").stdout


def test_flags_of_settings_are_described_as_the_settings_are(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = told("screen", "--help").stdout
    for flag, name in FLAGS.items():
        [line] = [line for line in text.splitlines() if f"--{flag.replace('_', '-')}" in line]
        field = find_setting(name)
        assert field.description[1:] in line, name
        assert f"{field.default} by default" in line, name


@pytest.mark.parametrize("command", ["screen", "show", "analyze", "classify"])
def test_no_name_of_an_option_is_cut_at_80_columns(command, tmp_path):
    _, text = printed_in_terminal(tmp_path, command, "--help")
    assert "…" not in text


def test_a_wrong_value_of_a_flag_is_told_as_that_of_the_setting(tmp_path):
    command = ("screen", "demo", "-o", tmp_path / "out", "--dry-run")
    for value, words in (("a", "valid number"), ("-1", "greater than 0")):
        result = told(*command, "--displacement", value)
        assert result.returncode == 2
        message, remedy = result.stderr.splitlines()
        assert "phonons.displacement" in message
        assert words in message
        assert "chiralscreen settings" in remedy


def test_a_flag_goes_before_the_file(tmp_path, monkeypatch):
    """Rattled tellurium has its symmetry at the tolerance of the file only."""
    monkeypatch.chdir(tmp_path)
    atoms = read(DEMO / "te.cif")
    atoms.rattle(0.02, seed=1)
    atoms.write("te.cif")
    (tmp_path / "own.yaml").write_text("symmetry: {symprec: 0.2}\n")
    command = ("classify", "te.cif", "--config", "own.yaml")
    assert "P3_121 (152)" in told(*command).stdout
    assert "P3_121 (152)" not in told(*command, "--symprec", "0.001").stdout
