"""featalign scorers: the list of all scorers."""

from featalign.cli.context import show


def scorers() -> None:
    """List all scorers and what they say."""
    from featalign.scorers.registry import SCORERS
    from featalign.views.other_cells import scorers_sheet

    show(scorers_sheet(SCORERS))
