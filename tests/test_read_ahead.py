import threading
import time

import pytest

from rshash.ingest.read_ahead import BYTES_AHEAD, GROUP, GROUPS_AHEAD, read_ahead


@pytest.mark.parametrize("n_threads", [1, 2, 7])
@pytest.mark.parametrize("n", [0, 1, GROUP, 100])
def test_results_come_in_order(n, n_threads):
    def slow_at_first(number):
        time.sleep(0.01 if number < 4 else 0)
        return number

    assert list(read_ahead(range(n), slow_at_first, n_threads, lambda _: 1)) == list(range(n))


@pytest.mark.parametrize(("n_bytes", "most"), [(1, GROUPS_AHEAD + 1), (BYTES_AHEAD, 3)])
def test_work_is_taken_a_bounded_way_ahead(n_bytes, most):
    taken = 0

    def work():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    for position, _ in enumerate(read_ahead(work(), lambda number: number, 2, lambda _: n_bytes)):
        if position >= GROUP * (GROUPS_AHEAD + 1):  # the first results tell how large they are
            assert taken - position <= GROUP * most


def test_an_error_arrives_and_the_threads_end():
    def read(number):
        if number == 9:
            raise OSError("disk is gone")
        return number

    with pytest.raises(OSError, match="disk is gone"):
        list(read_ahead(range(100), read, 2, lambda _: 1))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
