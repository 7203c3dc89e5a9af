import csv
import gzip
import json

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target

CSV = 'text,label\ngood film,pos\n"bad, long\nfilm",neg\nfine,pos\n'
JSONL = (
    '{"text": "good film", "label": "pos"}\n'
    '{"label": "neg", "text": "bad, long\\nfilm"}\n'
    "\n"
    '{"text": "fine", "label": "pos"}\n'
)


def written(path, content: str):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("reviews.csv", CSV),
        ("reviews.csv.gz", CSV),
        ("reviews.CSV", "\ufefflabel,text\n" + 'pos,good film\nneg,"bad, long\nfilm"\npos,fine\n'),
        ("reviews.csv", CSV.replace("\n", "\r\n").replace("long\r\n", "long\n")),
        ("reviews.csv", 'text;label\ngood film;pos\n"bad, long\nfilm";neg\n\nfine;pos\n'),
        ("reviews.tsv", 'text\tlabel\ngood film\tpos\n"bad, long\nfilm"\tneg\nfine\tpos\n'),
        ("reviews.jsonl", JSONL),
        ("reviews.jsonl.gz", JSONL),
        ("reviews.csv", 'id,Label,Text\n1,pos,good film\n2, neg ,"bad, long\nfilm"\n3,pos,fine\n'),
    ],
)
def test_all_formats_give_the_same_target(tmp_path, file, content):
    target = load_target(written(tmp_path / file, content))
    assert repr(target) == "Target('reviews', 3 texts, 2 classes)"
    assert target.inputs.read(np.arange(3)) == ["good film", "bad, long\nfilm", "fine"]
    np.testing.assert_array_equal(target.labels, [1, 0, 1])
    assert target.class_names == ("neg", "pos")
    other = load_target(written(tmp_path / "other.jsonl", JSONL))
    assert target.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    "header",
    [
        "sentence,label",
        "review,sentiment",
        "utterance,intent",
        "content,category",
        "tweet,class",
        "anything,y",
        "label,body",
        "TEXT,Target",
    ],
)
def test_usual_columns_are_found(tmp_path, header):
    label_first = header.startswith("label")
    rows = "a,one\nb,two\n" if label_first else "one,a\ntwo,b\n"
    target = load_target(written(tmp_path / "set.csv", f"{header}\n{rows}"))
    assert target.inputs.read(np.arange(2)) == ["one", "two"]
    assert target.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "text,outcome",
            r"expected a label column, but none of the columns.*'text', 'outcome'.*label=",
        ),
        ("text,label,intent", r"several columns could be it \(label, intent\).*label="),
        (
            "title,label,abstract",
            r"expected a text column, but none.*'title', 'label', 'abstract'.*text=",
        ),
        ("text,label,sentence", r"expected a text column, but several.*text="),
    ],
)
def test_other_columns_are_asked_for(tmp_path, header, words):
    row = ",".join("ab"[: header.count(",") + 1] + "c" * (header.count(",") - 1))
    path = written(tmp_path / "set.csv", f"{header}\n{row}\n")
    with pytest.raises(FeatalignError, match=words) as raised:
        load_target(path)
    assert "set.csv" in str(raised.value)


def test_columns_by_name(tmp_path):
    path = written(tmp_path / "set.csv", "title,label,outcome\none,x,a\ntwo,x,b\n")
    target = load_target(path, text="title", label="outcome")
    assert target.class_names == ("a", "b")
    with pytest.raises(
        FeatalignError,
        match=r"text: .*no column 'body'; its columns are 'title', 'label', 'outcome'",
    ):
        load_target(path, text="body", label="outcome")
    with pytest.raises(FeatalignError, match=r"label: .*no column 'kind'"):
        load_target(path, text="title", label="kind")


def test_columns_may_only_be_named_for_tables(tmp_path):
    with pytest.raises(FeatalignError, match="they name columns of a table"):
        load_target("sklearn:iris", label="target")


@pytest.mark.parametrize(
    ("words", "held"),
    [
        (("train", "test"), 2),
        (("Training", "TEST "), 2),
        (("train", "val"), 2),
        (("train", "dev"), 2),
        (("train", "train"), 0),
    ],
)
def test_split_column(tmp_path, words, held):
    lines = [
        json.dumps({"text": f"text {row}", "label": "ab"[row % 2], "split": words[row >= 4]})
        for row in range(6)
    ]
    target = load_target(written(tmp_path / "set.jsonl", "\n".join(lines)))
    assert len(target) == 6 - held
    assert (target.held_out is not None) == bool(held)
    if target.held_out is not None:
        assert target.held_out.inputs.read(np.arange(2)) == ["text 4", "text 5"]
        np.testing.assert_array_equal(target.held_out.labels, [0, 1])


def test_test_rows_come_before_validation_rows(tmp_path):
    target = load_target(
        written(tmp_path / "set.csv", "text,label,split\na,x,train\nb,y,train\nc,x,val\nd,y,test\n")
    )
    assert target.held_out is not None
    assert target.held_out.inputs.read(np.array([0])) == ["d"]
    assert len(target.held_out) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "text,label,split\na,x,train\nb,y,half\n",
            r"set\.csv, line 3: expected train, val or test in the column 'split', got 'half'",
        ),
        (
            "text,label,split\na,x,test\nb,y,test\n",
            "rows with 'train' in the column 'split', got none",
        ),
        ("text,label,split\na,x,train\nb,y,train\nc,z,test\n", "got 'z' in 1 of 1 held-out rows"),
        ("text,label\na,x\nb,\n", r"set\.csv, line 3: expected a label as 'label', got none"),
        ("text,label\na,x\nb,  \n", "line 3: expected a label"),
        (
            "text,label\na,x\nb,y,z\n",
            "line 3: expected 2 fields as in the header, got 3.*in quotes",
        ),
        ('text,label\n"a\nb",x\nb\n', "line 4: expected 2 fields as in the header, got 1"),
        ('text,label\na,x\n"b,y\nc,x\n', "line 3: expected a row of fields.*mend the quotes"),
        ('text,label\na,x\n"b"c,y\n', "line 3: expected a row of fields"),
        (
            "text,label\na,x\nb,x\n",
            r"set\.csv: labels: expected at least two classes, got only 'x'",
        ),
        ("text,label\n", "empty file"),
        ("", "empty file"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path, content, words):
    with pytest.raises(FeatalignError, match=words):
        load_target(written(tmp_path / "set.csv", content))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'text': 1}", "line 2: expected one JSON object, but Expecting property name"),
        ('{"text": "b"', "line 2: expected one JSON object"),
        ("[" * 100_000, "line 2: expected one JSON object"),
        ('["b", "y"]', "line 2: expected one JSON object .* got list"),
        ('{"text": "b"}', "line 2: expected a label as 'label', got none"),
        ('{"text": "b", "label": null}', "line 2: expected a label"),
        ('{"text": "b", "label": NaN}', "line 2: expected a label"),
        (
            '{"text": "b", "label": ["y"]}',
            "line 2: expected a string or a number as 'label', got list",
        ),
        ('{"label": "y"}', "line 2: expected a text as 'text', got none"),
        ('{"text": null, "label": "y"}', "line 2: expected a text as 'text', got none"),
        ('{"text": 3, "label": "y"}', "line 2: expected a text as 'text', got int"),
    ],
)
def test_jsonl_that_cannot_be_used(tmp_path, line, words):
    path = written(tmp_path / "set.jsonl", '{"text": "a", "label": "x"}\n' + line + "\n")
    with pytest.raises(FeatalignError, match=words) as raised:
        load_target(path)
    assert "set.jsonl" in str(raised.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.csv").write_bytes("text,label\ncafé,x\n".encode("latin-1"))
    with pytest.raises(FeatalignError, match=r"latin\.csv: expected text in UTF-8"):
        load_target(tmp_path / "latin.csv")
    (tmp_path / "plain.jsonl.gz").write_bytes(JSONL.encode())
    with pytest.raises(FeatalignError, match=r"plain\.jsonl\.gz: expected a readable file"):
        load_target(tmp_path / "plain.jsonl.gz")
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(JSONL.encode() * 50)[:-20])
    with pytest.raises(FeatalignError, match=r"half\.jsonl\.gz: expected a readable file"):
        load_target(tmp_path / "half.jsonl.gz")


@pytest.mark.parametrize(
    ("labels", "classes", "indices"),
    [
        (["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        (["-1", "1", "-1"], ("-1", "1"), [0, 1, 0]),
        (["007", "7", "7"], ("007", "7"), [0, 1, 1]),
        (["1.0", "2.0", "1.0"], ("1.0", "2.0"), [0, 1, 0]),
        (["two", "inf", "1"], ("1", "inf", "two"), [2, 1, 0]),
        (["1.0", "2", "1"], ("1", "2"), [0, 1, 0]),
        (["true", "false", "true"], ("false", "true"), [1, 0, 1]),
    ],
)
def test_labels_in_csv(tmp_path, labels, classes, indices):
    target = load_target(
        written(tmp_path / "set.csv", "text,label\n" + "".join(f"t,{label}\n" for label in labels))
    )
    assert target.class_names == classes
    np.testing.assert_array_equal(target.labels, indices)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9, 10], ("9", "10")),
        ([1.0, 2.0, 1.0], ("1", "2")),
        ([True, False, True], ("False", "True")),
        ([1, "a", 1], ("1", "a")),
    ],
)
def test_labels_in_jsonl(tmp_path, labels, classes):
    lines = [json.dumps({"text": "t", "label": label}) for label in labels]
    assert load_target(written(tmp_path / "set.jsonl", "\n".join(lines))).class_names == classes


def test_fractions_are_regression_in_both_formats(tmp_path):
    from_csv = load_target(written(tmp_path / "set.csv", "text,label\na,1\nb,2.5\n"))
    from_jsonl = load_target(
        written(tmp_path / "set.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 2.5}\n')
    )
    np.testing.assert_array_equal(from_csv.labels, [[1.0], [2.5]])
    assert from_csv.fingerprint == from_jsonl.fingerprint


def test_long_texts_do_not_change_the_limit_of_others(tmp_path):
    before = csv.field_size_limit(5000)
    target = load_target(
        written(tmp_path / "set.csv", f"text,label\n{'long ' * 40_000},x\nshort,y\n")
    )
    assert len(target.inputs.read(np.array([0]))[0]) == 200_000
    assert csv.field_size_limit(before) == 5000


@pytest.mark.parametrize("file", ["set.csv", "set.tsv"])
def test_a_header_in_the_middle_is_refused(tmp_path, file):
    sign = "\t" if file.endswith("tsv") else ","
    once = f"text{sign}label\na{sign}u\nb{sign}v\n"
    with pytest.raises(FeatalignError, match="line 4: expected a row, got the header again"):
        load_target(written(tmp_path / file, once + once))


def test_lines_of_json_by_their_other_name(tmp_path):
    assert len(load_target(written(tmp_path / "set.ndjson", JSONL))) == 3
