"""Records: appended whole, read back, mended after a kill, refused when they are none."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from featalign.errors import FeatalignError
from featalign.study.records import Claims, append_record, read_records


def record(number, arm="full"):
    return {
        "source": "zoo/a",
        "target": "b",
        "size": 100,
        "seed": number,
        "arm": arm,
        "value": number / 3,
    }


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "new" / "records.jsonl"
    assert read_records(path) == []
    for number in range(3):
        append_record(path, record(number))
    assert read_records(path) == [{"schema": 1, **record(number)} for number in range(3)]


@pytest.mark.parametrize("kept", [1, 12, 30, 60])
def test_a_line_cut_short_is_left_out_and_mended_by_the_next_writer(tmp_path, kept):
    path = tmp_path / "records.jsonl"
    append_record(path, record(0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    assert [each["seed"] for each in read_records(path)] == [0]
    append_record(path, record(1))
    assert [each["seed"] for each in read_records(path)] == [0, 1]
    assert len(path.read_bytes().splitlines()) == 2
    path.write_bytes(whole[:kept])  # the first line of all
    append_record(path, record(2) | {"filler": "x" * 200_000})
    path.write_bytes(path.read_bytes()[:-50_000])
    assert read_records(path) == []
    append_record(path, record(3))
    assert [each["seed"] for each in read_records(path)] == [3]


def test_the_last_of_a_key_counts(tmp_path):
    path = tmp_path / "records.jsonl"
    for value in (1, 2):
        append_record(path, record(0) | {"value": value})
    assert [each["value"] for each in read_records(path)] == [2]


def test_what_is_no_record_is_refused_with_its_line(tmp_path):
    path = tmp_path / "records.jsonl"
    append_record(path, record(0))
    good = path.read_text()
    path.write_text("nonsense\n" + good)
    with pytest.raises(
        FeatalignError, match=r"expected a record in JSON in line 1, got 'nonsense'"
    ):
        read_records(path)
    path.write_text(good + json.dumps({"schema": 1, "source": "zoo/a"}) + "\n")
    with pytest.raises(FeatalignError, match=r"expected 'target' in the record of line 2"):
        read_records(path)
    path.write_text(good.replace('"schema": 1', '"schema": 9'))
    with pytest.raises(
        FeatalignError, match=r"line 1 is of schema 9, this featalign reads up to 1"
    ):
        read_records(path)


def write_many(path: Path, first: int) -> None:
    for number in range(first, first + 50):
        append_record(path, record(number) | {"filler": "x" * (number * 37 % 5000)})


def test_several_writers_do_not_cut_each_other(tmp_path):
    path = tmp_path / "records.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, 50 * place)) for place in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert sorted(each["seed"] for each in read_records(path)) == list(range(150))
    assert len(path.read_bytes().splitlines()) == 150


def hold(path: Path, ready, leave) -> None:
    with Claims(path).claim(5) as ours:
        ready.put(ours)
        leave.get()
        os._exit(1)  # as a kill would: nothing is given up in order


def test_a_claim_keeps_others_out_and_dies_with_its_process(tmp_path):
    path = tmp_path / "claims"
    context = multiprocessing.get_context("spawn")
    ready, leave = context.SimpleQueue(), context.SimpleQueue()
    other = context.Process(target=hold, args=(path, ready, leave))
    other.start()
    assert ready.get() is True
    claims = Claims(path)
    with claims.claim(5) as ours, claims.claim(6) as another:
        assert not ours
        assert another
    leave.put(None)
    other.join()
    with claims.claim(5) as ours:
        assert ours
    claims.close()
