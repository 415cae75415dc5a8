"""Settings and the version at a terminal."""

from importlib.metadata import version

from tasks.settings import ScreenSettings, read_settings
from tests.flows.conftest import told


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
