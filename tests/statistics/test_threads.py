"""How many threads linear algebra gets.

This tests what is set within, and that it is taken back, also where threads overlap.
"""

import threading

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import ThreadpoolController

from featalign.statistics.threads import SMALL, decompositions, side_by_side, threads_for

assert scipy.linalg is not None  # its library too is there before the threads are counted
CONTROLLER = ThreadpoolController()


def blas_threads() -> list[int]:
    return [
        library["num_threads"] for library in CONTROLLER.info() if library["user_api"] == "blas"
    ]


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """Two threads, on a machine of one core too.

    Set in another thread, so that this one holds the libraries no longer than any.
    """
    thread = threading.Thread(target=lambda: CONTROLLER.limit(limits=2, user_api="blas"))
    before = {library.filepath: library.num_threads for library in CONTROLLER.lib_controllers}
    thread.start()
    thread.join()
    yield
    CONTROLLER.limit(limits=before)


def test_small_matrices_get_one_thread_and_large_ones_what_there_is():
    edge = int(SMALL**0.5)
    before = blas_threads()
    assert len(before) >= 2
    assert set(before) == {2}
    with threads_for(edge, edge):
        assert set(blas_threads()) == {1}
        with threads_for(10, 10):
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    with threads_for(edge + 1, edge):
        assert blas_threads() == before
    with pytest.raises(ValueError, match="no"), threads_for(2, 2):
        raise ValueError("no")
    assert blas_threads() == before


def test_a_thread_that_comes_second_sets_nothing_and_leaves_nothing():
    """It comes when the first has set its limit, and stays longer."""
    entered, second_is_within, found = threading.Event(), threading.Event(), []

    def begin() -> None:
        with threads_for(2, 2):
            entered.set()
            second_is_within.wait()

    def follow() -> None:
        entered.wait()
        with threads_for(2, 2):
            found.append(blas_threads())
            second_is_within.set()
            first.join()
            found.append(blas_threads())

    first, second = threading.Thread(target=begin), threading.Thread(target=follow)
    second.start()
    first.start()
    second.join()
    assert [set(each) for each in found] == [{1}, {2}]
    assert set(blas_threads()) == {2}
    with threads_for(2, 2):
        assert set(blas_threads()) == {1}


def test_small_work_is_done_side_by_side_and_large_work_in_turn(monkeypatch):
    monkeypatch.setattr("featalign.statistics.threads._cores", lambda: 2)
    together = threading.Barrier(2)

    def met(number: int) -> int:
        together.wait(timeout=30)
        return number

    assert side_by_side(met, [3, 4], 10, 10) == [3, 4]
    here = threading.get_ident()
    assert side_by_side(lambda _: threading.get_ident(), [1, 2], SMALL, 2) == [here, here]
    with pytest.raises(ValueError, match="no"):
        side_by_side(lambda each: int(each), ["1", "no"], 10, 10)


@pytest.mark.parametrize("size", [3, 40, 600])
def test_decompositions_are_those_of_each_matrix(size):
    rows = np.random.default_rng(size).normal(size=(3, size, size))
    matrices = [each + each.T for each in rows]
    for matrix, (values, vectors) in zip(matrices, decompositions(matrices), strict=True):
        np.testing.assert_allclose(vectors * values @ vectors.T, matrix, atol=1e-11 * size)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(size), atol=1e-12 * size)
        assert (np.diff(values) >= 0).all()
