"""The errors featalign raises for bad input.

An error is always a sentence for the user, never a traceback in the shell.
"""


class FeatalignError(ValueError):
    """Data, a model or a cache is bad.

    The message names the argument, what was expected, what came and what to do.
    """


def first_line(error: BaseException) -> str:
    r"""What an error says, short enough for a sentence.

    >>> first_line(ValueError("no such file\nsee the manual")), first_line(MemoryError())
    ('no such file', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
