import builtins

import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from tests.targets.pictures import random_images

# the library names its data by pickling pyarrow, which warns
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Cannot locate reference"),
    pytest.mark.filterwarnings("ignore:Cannot pickle"),
]


@pytest.fixture
def datasets(monkeypatch):
    library = pytest.importorskip(
        "datasets", reason='needs the library datasets: pip install "featalign[data]"'
    )
    library.disable_progress_bars()
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    return library


def moods(datasets):
    return datasets.Features(
        {
            "sentence": datasets.Value("string"),
            "mood": datasets.ClassLabel(names=["down", "up", "never"]),
        }
    )


def test_splits_and_class_names(datasets, tmp_path):
    parts = {
        "train": {"sentence": ["a", "b", "c"], "mood": [1, 0, 1]},
        "test": {"sentence": ["d"], "mood": [-1]},  # as on the hub: labels kept back
        "validation": {"sentence": ["e", "f"], "mood": [0, 1]},
    }
    loaded = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_dict(rows, features=moods(datasets))
            for name, rows in parts.items()
        }
    )
    loaded.save_to_disk(tmp_path / "moods")
    target = load_target(tmp_path / "moods")
    assert repr(target) == "Target('moods', 3 texts, 2 classes, 2 held out)"
    assert target.class_names == ("down", "up")
    np.testing.assert_array_equal(target.labels, [1, 0, 1])
    assert target.held_out is not None
    assert target.held_out.inputs.read(np.arange(2)) == ["e", "f"]
    (tmp_path / "moods.csv").write_text("text,label\na,up\nb,down\nc,up\n")
    assert load_target(tmp_path / "moods.csv").fingerprint == target.fingerprint
    assert load_target(tmp_path / "moods", subset=2, label="mood", text="sentence").num_rows == 2


def test_images(datasets, tmp_path):
    images = random_images(4)
    features = datasets.Features(
        {"img": datasets.Image(), "fine_label": datasets.ClassLabel(names=["x", "y"])}
    )
    rows = {"img": [Image.fromarray(image) for image in images], "fine_label": [0, 1, 1, 0]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "pictures")
    target = load_target(tmp_path / "pictures")
    assert (target.kind, target.class_names, target.held_out) == ("image", ("x", "y"), None)
    for read, image in zip(target.inputs.read(np.arange(4)), images, strict=True):
        np.testing.assert_array_equal(read, image)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "same.csv").write_text(
        "file,label\n" + "".join(f"{number}.png,{'xyyx'[number]}\n" for number in range(4))
    )
    assert load_target(tmp_path / "same.csv").fingerprint == target.fingerprint


def test_lists_pairs_and_numbers(datasets, tmp_path):
    labels = datasets.List(datasets.ClassLabel(names=["p", "q", "r"]))
    features = datasets.Features(
        {
            "premise": datasets.Value("string"),
            "hypothesis": datasets.Value("string"),
            "labels": labels,
        }
    )
    rows = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "labels": [[0, 2], [2]]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "lists")
    target = load_target(tmp_path / "lists")
    np.testing.assert_array_equal(target.labels, [[1, 1], [0, 1]])
    assert target.inputs.read(np.array([1])) == ["b\nd"]
    datasets.Dataset.from_dict({"text": ["a", "b"], "score": [0.5, 3.0]}).save_to_disk(
        tmp_path / "numbers"
    )
    assert load_target(tmp_path / "numbers", label="score").task == "regression"


def test_class_names_that_the_library_wrote_into_a_parquet_file(datasets, tmp_path):
    datasets.Dataset.from_dict(
        {"sentence": ["a", "b"], "mood": [1, 0]}, features=moods(datasets)
    ).to_parquet(str(tmp_path / "moods.parquet"))
    assert load_target(tmp_path / "moods.parquet").class_names == ("down", "up")


def test_what_cannot_be_used(datasets, tmp_path):
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    datasets.DatasetDict({"first": part, "second": part}).save_to_disk(tmp_path / "splits")
    with pytest.raises(
        FeatalignError,
        match=r"splits: expected a split 'train', got first, second; save the split you mean alone",
    ):
        load_target(tmp_path / "splits")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dataset_info.json").write_text("{")
    with pytest.raises(
        FeatalignError,
        match=r"broken: expected a data set saved with save_to_disk, but reading it failed with",
    ):
        load_target(tmp_path / "broken")


@pytest.mark.parametrize(
    "address", ["hf:nobody/nothing", "hf:nobody/nothing@main", "hf:nobody/nothing@v1#small"]
)
def test_the_hub_without_a_network(datasets, address):
    with pytest.raises(
        FeatalignError,
        match=rf"{address}: loading it failed with \w+: .*save it with save_to_disk and give the "
        r"folder",
    ):
        load_target(address)


@pytest.mark.parametrize("address", ["hf:", "hf:@main", "hf:name@", "hf:name#"])
def test_addresses_that_name_nothing(address):
    with pytest.raises(FeatalignError, match="expected hf:NAME"):
        load_target(address)


def test_without_the_library(tmp_path, monkeypatch):
    (tmp_path / "dataset_info.json").write_text("{}")
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "datasets":
            raise ImportError("No module named 'datasets'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for address in (tmp_path, "hf:rotten_tomatoes"):
        with pytest.raises(
            FeatalignError,
            match=r"it needs the library datasets, which is not installed; run pip install "
            r'"featalign\[data\]"',
        ):
            load_target(address)
