"""The errors featalign raises for bad input.

An error is always a sentence for the user, never a traceback in the shell.
"""


class FeatalignError(ValueError):
    """Data, a model or a cache is bad.

    The message names the argument, what was expected, what came and what to do.
    """


def failure(error: Exception) -> FeatalignError:
    """What a job gives in place of its record when it fails, whatever was raised.

    What featalign did not foresee is named by its type, and stays at hand as the cause.

    >>> print(failure(KeyError("layer_7")))
    it failed with KeyError: 'layer_7'; mend the source, or leave it out
    """
    if isinstance(error, FeatalignError):
        return error
    made = FeatalignError(
        f"it failed with {type(error).__name__}: {first_line(error)}; mend the source, or leave "
        "it out"
    )
    made.__cause__ = error
    return made


def first_line(error: BaseException) -> str:
    r"""What an error says, short enough for a sentence.

    >>> first_line(ValueError("no such file\nsee the manual")), first_line(MemoryError())
    ('no such file', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
