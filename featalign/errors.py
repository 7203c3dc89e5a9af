"""The errors featalign raises for bad input.

An error is always a sentence for the user, never a traceback in the shell.
"""


class FeatalignError(ValueError):
    """Data, a model or a cache is bad.

    The message names the argument, what was expected, what came and what to do.
    """
