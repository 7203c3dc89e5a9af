"""The shell in this process, and what tests say at the end.

What they say are the lines they add to `user_properties` under the name "count".
"""

import os
import sys

import pytest

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = (
    "false"  # what a test sees does not hang on what ran before
)


def pytest_terminal_summary(terminalreporter):
    """Print the counts, also those of pytest-xdist's workers."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
    ]
    lines = [
        line
        for report in reports
        if report.when == "call"
        for name, line in report.user_properties
        if name == "count"
    ]
    if lines:
        terminalreporter.section("counts")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True, scope="module")
def few_compiled_functions():
    """No process holds so many compiled functions that the next one cannot be compiled."""
    yield
    from featalign.study.compiled import forget_compiled

    forget_compiled()


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs the shell in this process: (exit status, standard output, standard error)."""
    from featalign.cli import main

    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("featalign.jobs.compiled.keep_compiled", lambda: None)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["featalign", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def three_sources(monkeypatch):
    """A zoo of three, so that a demo is short."""
    of_three_sources(monkeypatch)


def of_three_sources(monkeypatch):
    """Make every pattern of sources mean three of the zoo."""
    from featalign.sources import catalogue

    assert len(catalogue.expand(["zoo/*"])) >= 12
    monkeypatch.setattr(
        catalogue,
        "expand",
        lambda addresses: ["zoo/resnet_noise", "zoo/resnet_digits", "zoo/resnet_aerial"],
    )
