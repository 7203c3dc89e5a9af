"""Jobs one after the other, in this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from featalign.errors import FeatalignError
from featalign.session import Session

Job = TypeVar("Job")
Found = TypeVar("Found")


def map_jobs(
    function: Callable[[Job, Session], Found], jobs: Iterable[Job], session: Session
) -> Iterator[Found | FeatalignError]:
    """What each job gives, in the order of the jobs.

    A job that fails because of its data or its model gives the error.
    """
    for job in jobs:
        try:
            yield function(job, session)
        except FeatalignError as error:
            yield error
