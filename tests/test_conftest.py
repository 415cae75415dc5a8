"""What the last line of a run says."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests import conftest


def test_a_run_without_a_browser_says_so_in_its_last_line(tmp_path):
    shutil.copy(Path(conftest.__file__), tmp_path)
    (tmp_path / "test_pages.py").write_text(
        "import pytest\nfrom conftest import NO_BROWSER\n\n\n"
        "def test_a_page():\n    pytest.skip(NO_BROWSER)\n\n\n"
        "def test_other():\n    pytest.skip('no Postgres')\n\n\n"
        "def test_sum():\n    assert 1 + 1 == 2\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    last = found.stdout.splitlines()[-1]
    assert "1 passed, 1 skipped, 1 pages skipped: no browser" in last
