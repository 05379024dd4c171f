"""The figures of the trials."""

from collections.abc import Callable

import pytest
from trials import LONG


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Notes figures of a trial by name; they are printed at the end of `make soak`."""

    def note(**values: object) -> None:
        for name, value in values.items():
            record_property(name, value)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each trial with its figures, if they are the long ones."""
    if not LONG:
        return
    reports = [report for reports in terminalreporter.stats.values() for report in reports if getattr(report, "when", "") == "call"]
    terminalreporter.section("trials")
    for report in reports:
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        terminalreporter.write_line(f"{name}: {report.outcome} after {report.duration:,.0f} s")
        for key, value in report.user_properties:
            shown = f"{value:,}" if isinstance(value, int | float) else value
            terminalreporter.write_line(f"    {key.replace('_', ' ')}: {shown}")
