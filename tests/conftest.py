"""A run ends with what was skipped and what would bring it."""
from tests.optional import count_skips


def pytest_terminal_summary(terminalreporter):
    for line in count_skips(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)
