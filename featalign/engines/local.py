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
    """What each job gives, in their order.

    Of a job that fails for its data or its model it is the error.
    """
    for job in jobs:
        try:
            yield function(job, session)
        except FeatalignError as error:
            yield error
