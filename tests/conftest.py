"""What is slow, and what the last line of a run says."""

from pathlib import Path

import pytest

NO_BROWSER = "there is no browser for the tests of pages"
# Folders whose tests start servers and programs; slow modules elsewhere mark themselves.
_SLOW = tuple(Path(__file__).parent / name for name in ("benchmarks", "docs", "flows"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of slow folders."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in _SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count tests that lack a browser by themselves, under a name that says why."""
    if report.skipped and NO_BROWSER in str(report.longrepr):
        return "pages skipped: no browser", "s", "NO BROWSER"
    return None
