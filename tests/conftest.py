"""What tests say at the end of the run: the lines they add to `user_properties` under the name "count"."""


def pytest_terminal_summary(terminalreporter):
    """Print the counts, also those of pytest-xdist's workers."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    lines = [line for report in reports if report.when == "call" for name, line in report.user_properties if name == "count"]
    if lines:
        terminalreporter.section("counts")
        for line in lines:
            terminalreporter.write_line(line)
