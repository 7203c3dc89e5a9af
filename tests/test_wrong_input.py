"""Wrong invocations and wrong inputs on the shell, in one table.

Each row has the exit status and the words that the message must hold. None gives a traceback, and
none is silent.
"""

import gzip
import json
import shlex

import numpy as np
import pytest
from PIL import Image

DIGITS = "-s zoo/resnet_digits -t sklearn:digits --subset 60"
ZOO = "-s zoo/resnet_digits"
# (what is called, exit status, words of the message)
TABLE = [
    # the command line
    ("rnk", 2, ["No such command 'rnk'", "rank"]),
    ("rank", 2, ["Missing option", "--source"]),
    ("rank --sorce zoo/*", 2, ["No such option", "--sorce", "--source"]),
    (f"rank {DIGITS} --subset many", 2, ["--subset", "integer"]),
    (f"rank {DIGITS} --task classify", 2, ["--task", "classify", "regression"]),
    (f"rank {DIGITS} --verbose --quiet", 2, ["--verbose, --quiet: expected one of the two"]),
    ("fine-tune -t sklearn:digits", 2, ["Missing option", "--source"]),
    ("cache export abc", 2, ["Missing argument", "path"]),
    ("cache lss", 2, ["No such command 'lss'"]),
    ("validate fit records.jsonl", 2, ["Missing option", "--evidence"]),
    # names
    (f"rank {DIGITS} --scorers lin-probe", 1, ["--scorers:", "did you mean 'linear_probe'?"]),
    (f"rank {DIGITS} --scorers knn,logmee", 1, ["--scorers:", "did you mean 'logme'?"]),
    (f"rank {DIGITS} --scorers ''", 1, ["--scorers: expected at least one name, got none"]),
    (f"rank {DIGITS} --layers feature", 1, ["--layers:", "did you mean 'features'?"]),
    (f"rank {DIGITS} --layers ''", 1, ["--layers: expected at least one layer, got none"]),
    (f"embed {DIGITS} --layers Stage-1", 1, ["--layers:", "did you mean 'stage_1'?"]),
    (f"fine-tune {DIGITS} --layer stge_1", 1, ["--layer:", "did you mean 'stage_1'?"]),
    (f"fine-tune {DIGITS} --arm ful", 1, ["--arm: expected one of", "did you mean 'full'?"]),
    (f"fine-tune {DIGITS} --budget lng", 1, ["--budget: expected", "did you mean 'long'?"]),
    (f"fine-tune {DIGITS} --optimiser adam", 1, ["--optimiser:", "did you mean 'adamw'?"]),
    (f"rank {DIGITS} --effort shrt", 1, ["--effort: expected", "did you mean 'short'?"]),
    (f"embed {DIGITS} --dtype int8", 1, ["--dtype: expected one of float16", "'int8'"]),
    # sources
    ("rank -s zoo/resnet_digit -t sklearn:digits", 1, ["did you mean 'zoo/resnet_digits'?"]),
    ("rank -s resnet_noise -t sklearn:digits", 1, ["--source:", "did you mean 'zoo/resnet_noise'"]),
    ("rank -s zoo:vit_digits -t sklearn:digits", 1, ["did you mean 'zoo/vit_digits'?"]),
    ("rank -s zoo/resnt* -t sklearn:digits", 1, ["--source: nothing matches", "did you mean"]),
    ("screen -s zoo/none* -t sklearn:digits", 1, ["--source: nothing matches 'zoo/none*'"]),
    ("rank -s h5:none.h5 -t sklearn:digits", 1, ["there is none at none.h5", "check the name"]),
    ("rank -s npz:short.npz -t sklearn:digits", 1, ["short.npz", "1797", "5"]),
    ("rank -s py:nothing -t sklearn:digits", 1, ["expected py:MODULE:FACTORY", "'py:nothing'"]),
    ("rank -s py:nothing:make -t sklearn:digits", 1, ["No module named 'nothing'", "mend it"]),
    (f"rank {ZOO} -t numbers.npz", 1, ["reads image inputs, but numbers holds array inputs"]),
    # numbers and places
    (f"rank {DIGITS} --seed -1", 1, ["--seed: expected an integer of at least 0, got -1"]),
    (f"rank {DIGITS} --subset 3", 1, ["--subset: expected at least one row", "10 classes"]),
    (f"rank {DIGITS} --share 2 --effort short", 1, ["--share: expected a part", "got 2.0"]),
    (f"screen {DIGITS} --keep 0", 1, ["--keep: expected a whole number of at least 1, got 0"]),
    (f"screen {DIGITS} --budget -1", 1, ["--budget: expected a number of trainings above 0"]),
    (f"fine-tune {DIGITS} --steps 0", 1, ["--steps: expected a whole number of at least 1"]),
    (f"fine-tune {DIGITS} --learning-rate -1", 1, ["--learning-rate: expected numbers above 0"]),
    (f"embed {DIGITS} --batch-size 0", 1, ["--batch-size: expected a whole number"]),
    (f"rank {DIGITS} --cache set.csv", 1, ["--cache: expected a folder at", "set.csv"]),
    (f"rank {DIGITS} --cache set.csv/x", 1, ["--cache: no folder can be made", "FEATALIGN_CACHE"]),
    (f"embed {DIGITS} --cache /proc/none/x", 1, ["--cache: no folder can be made at /proc/none"]),
    ("demo --output set.csv", 1, ["--output:", "choose another place"]),
    (f"rank {DIGITS} --forecast-figure a.xyz", 1, ["--forecast-figure: expected a name ending in"]),
    (f"rank {DIGITS} --figure none/a.png", 1, ["--figure: expected a folder at none"]),
    (f"rank {DIGITS} --html none/a.html", 1, ["--html: expected a file in a folder", "at none"]),
    ("report none.json", 1, ["ranking: expected the JSON of a ranking, none.json", "make it"]),
    ("report numbers.npz", 1, ["numbers.npz could not be read (it is no text)"]),
    ("report numbers.npz --html none/a.html", 1, ["--html: expected a file in a folder"]),
    (f"rank {DIGITS} --scorers knn --gain-figure a.png", 1, ["--gain-figure: expected a forecast"]),
    (f"rank {DIGITS} --calibration none.json", 1, ["none.json: expected a calibration", "fit"]),
    (
        f"rank {DIGITS} --label x",
        1,
        ["--label, --text, --image, --groups: they name columns", "leave them"],
    ),
    (f"rank {DIGITS} --separator ''", 1, ["--separator: expected a sign such as '|', got ''"]),
    # targets
    (f"rank {ZOO} -t sklearn:digit", 1, ["did you mean 'digits'?", "sklearn:iris"]),
    (f"rank {ZOO} -t st.csv", 1, ["does not exist", "did you mean 'set.csv'?"]),
    (f"rank {ZOO} -t notes.txt", 1, ["notes.txt", "a file of another kind", "convert it"]),
    (f"rank {ZOO} -t one.npy", 1, ["holds one array and no labels", "numpy.savez"]),
    (f"rank {ZOO} -t empty", 1, ["empty", "images"]),
    (f"rank {ZOO} -t empty.csv", 1, ["empty.csv"]),
    (f"rank {ZOO} -t heads.csv", 1, ["heads.csv", "rows"]),
    (f"rank {ZOO} -t set.csv --label lable", 1, ["--label:", "did you mean 'label'?"]),
    (f"rank {ZOO} -t set.csv --text txt", 1, ["--text:", "did you mean 'text'?", "'label'"]),
    (f"rank {ZOO} -t plain.csv", 1, ["expected a label column", "name it with --label"]),
    (f"rank {ZOO} -t holes.csv", 1, ["holes.csv, line 3", "'label'", "drop the row"]),
    (f"rank {ZOO} -t dates.csv", 1, ["dates.csv, line 2", "the date", "--task classification"]),
    (f"rank {ZOO} -t broken.jsonl.gz", 1, ["broken.jsonl.gz"]),
    (f"rank {ZOO} -t broken.parquet", 1, ["broken.parquet"]),
    (f"rank {ZOO} -t words.npz", 1, ["words.npz"]),
    (f"rank {ZOO} -t broken", 1, ["bad.png"]),
    (f"rank {ZOO} -t lengths.npz", 1, ["lengths.npz", "4", "3"]),
    (f"rank {ZOO} -t one_class.npz", 1, ["two classes"]),
    (f"rank {ZOO} -t nan.npz", 1, ["NaN"]),
    (f"rank {ZOO} -t one_hot.npz", 1, ["exactly one 1 of 3", "--task classification"]),
    # features and the cache
    ("score none.npz", 1, ["none.npz", "No such file", "check the name"]),
    ("score bare.npz", 1, ["expected an array 'labels' beside 'features'"]),
    ("score uneven.npz", 1, ["uneven.npz", "labels"]),
    ("score notes.txt", 1, ["notes.txt"]),
    ("score features.npz --scorers knnn", 1, ["--scorers:", "did you mean 'knn'?"]),
    ("cache export abc out.h5", 1, ["key: expected the beginning of one key", "cache ls"]),
    ("cache verify abc", 1, ["key: expected the beginning of a key", "'abc'"]),
    ("cache rm", 1, ["key, --source, --target: expected one that says what to remove"]),
    ("cache rm abc", 1, ["nothing in", "abc"]),
    ("cache import none.h5", 1, ["path: expected a file with features", "none.h5"]),
    ("cache import notes.txt", 1, ["notes.txt"]),
    ("cache gc --max-size big", 1, ["--max-size: expected a size such as 500MB", "'big'"]),
    # validation
    ("validate run none.toml", 1, ["none.toml: expected a grid in TOML"]),
    ("validate run notes.txt", 1, ["notes.txt", "TOML"]),
    ("validate fit none.jsonl --evidence set.csv", 1, ["none.jsonl: expected records in .jsonl"]),
    ("validate report none.jsonl", 1, ["none.jsonl: expected records", "does not exist"]),
    ("validate report set.csv --arm full", 1, ["--arm: expected with records alone"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with one good table and many bad files."""
    made = tmp_path_factory.mktemp("wrong")
    (made / "empty").mkdir()
    for name in ("a", "b"):
        (made / "broken" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(made / "broken" / name / "0.png")
    (made / "broken" / "b" / "bad.png").write_bytes(b"no picture")
    rows = "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(10))
    dated = "".join(f"text {number},2024-01-{number + 10}\n" for number in range(20))
    texts = {
        "set.csv": "text,label\n" + rows,
        "holes.csv": "text,label\nx,a\ny,N/A\n" + rows,
        "dates.csv": "text,label\n" + dated,
        "plain.csv": "alpha,beta\n1,2\n",
        "heads.csv": "text,label\n",
        "empty.csv": "",
        "notes.txt": "no = data = here",
        "broken.parquet": "no parquet",
    }
    for name, text in texts.items():
        (made / name).write_text(text)
    with gzip.open(made / "broken.jsonl.gz", "wt") as file:
        file.write(json.dumps({"text": "a", "label": "b"}) + "\n{broken\n")
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (30, 8, 8, 3)).astype(np.uint8)
    arrays = {
        "numbers": {"inputs": draw.normal(size=(20, 4)), "labels": np.arange(20) % 2},
        "words": {"inputs": np.ones((4, 2)), "classes": np.arange(4)},
        "lengths": {"inputs": np.ones((4, 2)), "labels": [0, 1, 0]},
        "one_class": {"inputs": np.ones((4, 2)), "labels": np.zeros(4, int)},
        "nan": {"inputs": np.array([[1.0, np.nan], [0, 0]]), "labels": [0, 1]},
        "one_hot": {"x_train": images, "y_train": np.eye(3)[np.arange(30) % 3]},
        "short": {"features": draw.normal(size=(5, 3))},
        "bare": {"features": draw.normal(size=(5, 3))},
        "uneven": {"features": draw.normal(size=(5, 3)), "labels": [0, 1]},
        "features": {"features": draw.normal(size=(20, 3)), "labels": np.arange(20) % 2},
    }
    for name, named in arrays.items():
        np.savez(made / f"{name}.npz", **named)  # type: ignore[arg-type]
    np.save(made / "one.npy", images)
    return made


@pytest.mark.parametrize(("called", "status", "words"), TABLE, ids=[row[0] for row in TABLE])
def test_what_is_wrong_is_said(run, folder, monkeypatch, called, status, words):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "300")  # the box of a wrong command line breaks no word
    ended, out, err = run(*shlex.split(called))
    assert ended == status
    assert out == ""
    assert "Traceback" not in err
    assert all(word in err for word in words), err
    if status == 1:
        *lines, last = err.splitlines()
        assert last.startswith("featalign: ")
        assert all(line.startswith("featalign: ") for line in lines)


def test_the_table_is_long_and_names_no_argument_of_python():
    assert len(TABLE) >= 60
    assert len({called for called, _, _ in TABLE}) == len(TABLE)
    assert {status for _, status, _ in TABLE} == {1, 2}
