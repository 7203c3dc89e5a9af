"""What is made once: by one thread, for its own object and arguments alone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Barrier, Event

import numpy as np

from featalign.statistics.once import once
from featalign.statistics.rows import Sample


@dataclass(frozen=True)
class Counted:
    made: list
    name: str = ""

    @once
    def value(self, number: int = 0, *, doubled: bool = False) -> list:
        self.made.append((self.name, number, doubled))
        return [number]


@dataclass(frozen=True)
class Slow:
    begun: Event
    may_go_on: Event

    @once
    def value(self) -> str:
        self.begun.set()
        assert self.may_go_on.wait(timeout=30)
        return "slow"


def test_it_is_made_by_one_thread_for_all():
    counted, together = Counted([]), Barrier(8)

    def ask(_: int) -> list:
        together.wait(timeout=30)
        return counted.value()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert counted.made == [("", 0, False)]
    assert all(each is found[0] for each in found)


def test_arguments_and_objects_have_their_own():
    first = Counted([], "first")
    second = replace(first, name="second")
    for each in (first, second, first):
        assert [each.value(1), each.value(2), each.value(2, doubled=True)] == [[1], [2], [2]]
    keys = ((1, False), (2, False), (2, True))
    assert first.made == [(name, *key) for name in ("first", "second") for key in keys]


def test_nobody_waits_for_what_is_made_of_another_object():
    slow, quick = Slow(Event(), Event()), Slow(Event(), Event())
    quick.may_go_on.set()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(slow.value)
        assert slow.begun.wait(timeout=30)
        assert quick.value() == "slow"
        assert not found.done()
        slow.may_go_on.set()
        assert found.result() == "slow"


def test_what_is_drawn_of_a_sample_of_rows_belongs_to_it():
    features = np.random.default_rng(0).normal(size=(60, 3))
    rows = Sample(features, np.arange(60), sampled=False, seed=0)
    some = rows.at_most(20)
    assert some is rows.at_most(20)
    assert (some.sampled, len(some.features)) == (True, 20)
    assert rows.at_most(60) is rows
    assert rows.neighbours(5).shape == (60, 5)
    assert some.neighbours(5).shape == some.at_most(20).neighbours(5).shape == (20, 5)
    assert rows.take(np.arange(9)).neighbours(1).shape == (9, 1)
