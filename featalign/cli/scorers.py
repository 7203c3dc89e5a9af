"""featalign scorers: the list of all scorers."""

from featalign.cli.context import console


def scorers() -> None:
    """List all scorers and what they say."""
    from featalign.scorers.registry import SCORERS
    from featalign.views.tables import scorers_table

    console().print(scorers_table(SCORERS))
