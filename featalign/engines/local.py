"""Jobs one after the other, in this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from featalign.errors import FeatalignError, failure
from featalign.log import LOGGER
from featalign.session import Session

Job = TypeVar("Job")
Found = TypeVar("Found")


def map_jobs(
    function: Callable[[Job, Session], Found], jobs: Iterable[Job], session: Session
) -> Iterator[Found | FeatalignError]:
    """What each job gives, in the order of the jobs.

    Of a job that fails, for whatever reason, it is the failure; the other jobs go on.
    """
    for job in jobs:
        try:
            found = function(job, session)
        except Exception as error:  # a source is somebody else's code, and may raise anything
            if not isinstance(error, FeatalignError):
                LOGGER.debug("unforeseen", exc_info=error)  # the only place that shows a traceback
            yield failure(error)
        else:
            yield found
