"""Arms, gradients and grids with real modules of transformers and sentence-transformers.

Those of timm are in tests/sources/timm_cases.py.
"""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.training.frameworks import trainer_of
from featalign.training.trainer import Trained
from tests.sources.ecosystem import images, texts

pytest.importorskip("sentence_transformers", reason="needs featalign[st]")
torch = pytest.importorskip("torch", reason="needs featalign[st]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

ARMS = ("scratch", "probe", "full", "probe_then_full", "gradual", "lora")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    from tests.sources import torch_folders

    place = tmp_path_factory.mktemp("models")
    return {
        "bert": f"hf/{torch_folders.bert(place / 'b')}",
        "gpt2": f"hf/{torch_folders.gpt2(place / 'g')}",
        "vit": f"hf/{torch_folders.vit(place / 'v')}",
        "sentences": f"st/{torch_folders.sentences(place / 's')}",
    }


def target_for(name, count=60) -> fa.Target:
    return images(count) if name == "vit" else texts(count)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("name", ["bert", "gpt2", "vit", "sentences"])
def test_every_arm_trains(addresses, tmp_path, name, arm: Any):
    options: Any = {"steps": 12, "learning_rates": [1e-2], "checkpoint": tmp_path}
    result = fa.fine_tune(addresses[name], target_for(name), arm=arm, **options)
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high
    assert fa.FineTuned.from_json(result.to_json()) == result
    assert result.stopped is None or arm == "gradual"
    first, last = result.curve[0], result.curve[-1]
    assert arm == "gradual" or last.loss < first.loss
    source = fa.load_source(addresses[name])
    trainer = trainer_of(source, source.default_layer)
    # names of the checkpoint are those of the model, whatever the arm
    assert set(result.trained.parameters) == set(trainer.parameters)
    moved = {
        key
        for key, value in trainer.parameters.items()
        if not torch.equal(value, result.trained.parameters[key].detach())
    }
    assert arm == "gradual" or (not moved) == (arm == "probe")
    count = sum(value.numel() for value in trainer.parameters.values())
    head = sum(value.size if hasattr(value, "size") and isinstance(value.size, int) else
               value.numel() for value in result.trained.head.values())  # fmt: skip
    assert result.num_trained is not None
    if arm == "lora":
        assert result.low_rank is not None
        assert head < result.num_trained < head + count
        assert all(key.endswith("weight") for key in moved)
    else:
        assert result.num_trained == head + (0 if arm == "probe" else count)
        assert result.low_rank is None


def test_small_matrices_come_from_peft_and_their_merged_weights_compute_the_same(addresses):
    from featalign.records.setting import LowRank, Setting
    from featalign.training.course import train
    from featalign.training.rows import split_rows
    from featalign.training.trainer import Job

    for name in ("bert", "gpt2", "sentences"):
        source = fa.load_source(addresses[name])
        split = split_rows(texts(60), source.reading)
        trainer = trainer_of(source, source.default_layer)
        adapted = trainer.low_rank(LowRank(3, 12.0), split.training, 5)
        rows = split.validation
        start = Trained(adapted.trainer.parameters, None, 0, ())
        np.testing.assert_allclose(
            adapted.trainer.features(rows), trainer.features(rows), rtol=1e-5, atol=1e-6
        )
        shapes = {tuple(adapted.trainer.parameters[key.removeprefix("network.")].shape)
                  for key in adapted.moving if key.startswith("network.")}  # fmt: skip
        assert all(3 in shape for shape in shapes)
        job = Job(start.parameters, split.training, Setting(0.02, steps=10), moving=adapted.moving)
        trained = train(adapted.trainer, job, 2)
        count = len(rows.labels)
        plain = replace(trained, parameters=adapted.merged(trained.parameters))
        assert set(plain.parameters) == set(trainer.parameters)
        own, other = (
            made.logits(each, rows.inputs, count)
            for made, each in ((adapted.trainer, trained), (trainer, plain))
        )
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-4)
        untouched = replace(plain, parameters=trainer.parameters)
        assert np.abs(trainer.logits(untouched, rows.inputs, count) - own).max() > 1e-3


def test_a_source_in_jax_has_no_such_arm():
    with pytest.raises(
        FeatalignError,
        match=r"arm: expected a source that runs in torch for the arm 'lora', zoo/resnet_digits "
        r"runs in jax; choose full",
    ):
        fa.fine_tune("zoo/resnet_digits", "sklearn:digits", arm="lora")
    options: Any = ({"lora_rank": 0}, {"lora_alpha": -1.0})
    for option in options:
        (named,) = option
        with pytest.raises(FeatalignError, match=rf"^{named}: expected"):
            fa.fine_tune("zoo/resnet_digits", "sklearn:digits", **option)


@pytest.mark.parametrize("name", ["bert", "vit", "sentences"])
def test_a_ranking_shows_a_tangent_gain_with_an_interval(addresses, tmp_path, name):
    target = target_for(name, 40)
    ranking = fa.rank(addresses[name], target, cache=tmp_path, forecast=True)
    assert not ranking.failures
    (row,) = ranking.rows
    assert row.scores["tangent_gain"].interval is not None
    assert row.evidence is not None
    assert row.evidence.capability == "gradients"
    assert "black box" not in str(ranking)
    assert not [each for each in row.warnings if "one input after the other" in each]
    again = fa.rank(addresses[name], target, cache=tmp_path, forecast=True)
    assert again.rows[0].scores["tangent_gain"] == row.scores["tangent_gain"]


def test_words_in_their_sentences_have_gradients_and_arms(addresses):
    from featalign.sources.gradients import gradient_source
    from featalign.targets.tokens import Token

    sentences = [("red", "cat", "runs"), ("blue", "dog", "sleeps", "very", "fast")]
    rows = [Token(words, place) for words in sentences for place in range(len(words))]
    source = fa.load_source(addresses["bert"])
    gradients = gradient_source(source, dimension=2**14)
    whole = gradients.embed(rows)[gradients.default_layer]
    alone = np.concatenate([gradients.embed([row])[gradients.default_layer] for row in rows])
    np.testing.assert_allclose(whole, alone, rtol=1e-3, atol=1e-5)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def adapter_of(address, place, *, prefix=None):
    """A folder of an adapter with random weights, as peft saves it, and its merged features."""
    import peft
    import transformers

    base = Path(address.removeprefix("hf/"))
    if prefix is None:
        model: Any = transformers.AutoModel.from_pretrained(base)
    else:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(base)
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["query", "value"])
    if prefix is not None:
        config.task_type = "SEQ_CLS"
    made = peft.get_peft_model(model, config)
    torch.manual_seed(3)
    for name, value in made.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(value, std=0.3)
    made.save_pretrained(place)
    return place, made.merge_and_unload().eval()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("prefix", [None, "bert"])
def test_a_folder_of_an_adapter_is_a_source(addresses, tmp_path, prefix):
    import transformers

    place, merged = adapter_of(addresses["bert"], tmp_path / "adapter", prefix=prefix)
    source, base = fa.load_source(f"hf/{place}"), fa.load_source(addresses["bert"])
    assert source.revision != base.revision
    assert source.layers == base.layers
    words = transformers.AutoTokenizer.from_pretrained(addresses["bert"].removeprefix("hf/"))
    with torch.no_grad():
        inner = merged if prefix is None else getattr(merged, prefix)
        states = inner(**words("red cat runs", return_tensors="pt")).last_hidden_state
    np.testing.assert_allclose(
        source.embed(["red cat runs"])["layer_2.mean"][0],
        states[0].mean(dim=0),
        rtol=1e-4,
        atol=1e-5,
    )
    assert np.abs(base.embed(["red cat runs"])["layer_2.mean"][0]
                  - states[0].mean(dim=0).numpy()).max() > 1e-3  # fmt: skip
    result = fa.fine_tune(source, texts(60), arm="full", steps=5, learning_rates=[1e-3])
    assert set(result.trained.parameters) == set(trainer_of(base, "layer_2.mean").parameters)
    own = place / "adapter_config.json"
    stated = json.loads(own.read_text())
    own.write_text(json.dumps(stated | {"base_model_name_or_path": None}))
    with pytest.raises(FeatalignError, match=r"adapter_config.json names no base model"):
        fa.load_source(f"hf/{place}")
    with pytest.raises(FeatalignError, match="it holds an adapter of"):
        fa.load_source(f"st/{place}")


def test_an_adapter_of_another_model_is_refused(addresses, tmp_path):
    place, _ = adapter_of(addresses["bert"], tmp_path / "adapter")
    own = place / "adapter_config.json"
    stated = json.loads(own.read_text())
    other = addresses["gpt2"].removeprefix("hf/")
    own.write_text(json.dumps(stated | {"base_model_name_or_path": other}))
    with pytest.raises(FeatalignError, match=r"its adapter does not fit its base model"):
        fa.load_source(f"hf/{place}").embed(["red cat"])


def grid_of(addresses, place: Path) -> Path:
    from tests.sources.ecosystem import WORDS

    random = np.random.default_rng(0)
    rows = ["text,label,split"]
    for number in range(60):
        label = number % 2
        words = [WORDS[number % 3 + 3 * label], *random.choice(WORDS, 3)]
        part = "test" if number >= 40 else "train"
        rows.append(f"{' '.join(words)},{'colour' if label == 0 else 'animal'},{part}")
    (place / "texts.csv").write_text("\n".join(rows) + "\n")
    sources = json.dumps([addresses["bert"], addresses["sentences"]])
    arms = json.dumps(["scratch", "probe", "full", "lora"])
    (place / "grid.toml").write_text(
        f"sources = {sources}\nsizes = [20]\nseeds = [0]\narms = {arms}\nmin_steps = 20\n"
        'epochs = 1\nlearning_rates = [0.01]\n[targets]\ntexts = "texts.csv"\n'
    )
    return place / "grid.toml"


def run_grid(grid: Path, records: Path) -> subprocess.Popen[str]:
    code = "from featalign.cli import main; main()"
    arguments = ["validate", "run", str(grid), "--records", str(records)]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
    )  # fmt: skip


def test_a_grid_of_torch_sources_is_killed_and_resumed(addresses, tmp_path):
    grid, records = grid_of(addresses, tmp_path), tmp_path / "records.jsonl"
    with run_grid(grid, records) as running:
        deadline = time.time() + 300
        while time.time() < deadline and running.poll() is None:
            if records.is_file() and records.read_text().count("\n") >= 2:
                running.send_signal(signal.SIGKILL)
                break
            time.sleep(0.05)
    before = records.read_text().splitlines()
    assert 2 <= len(before) <= 8
    with run_grid(grid, records) as finished:
        said, _ = finished.communicate(timeout=500)
    assert finished.returncode == 0, said
    after = records.read_text().splitlines()
    assert after[: len(before)] == before
    found = [json.loads(line) for line in after]
    named = [(each["source"], each["arm"]) for each in found]
    assert len(named) == len(set(named)) == 8
    for each in found:
        assert ("num_trained" in each) == (each["arm"] == "lora")


def test_the_shell_prints_accuracies_with_intervals(addresses, tmp_path):
    grid_of(addresses, tmp_path)
    for name in ("bert", "sentences"):
        arms = [part for arm in ("scratch", "full", "lora") for part in ("--arm", arm)]
        arguments = ["fine-tune", "--source", addresses[name], *arms]
        arguments += ["--target", str(tmp_path / "texts.csv")]
        arguments += ["--steps", "8", "--learning-rate", "0.01"]
        code = "from featalign.cli import main; main()"
        made = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        for arm in ("scratch", "full", "lora"):
            assert arm in made.stdout
        assert "%" in made.stdout


def test_a_forecast_is_checked_against_trained_arms(addresses, tmp_path):
    from featalign.study.check import check_row

    target = texts(60)
    ranking = fa.rank(addresses["bert"], target, cache=tmp_path, forecast=True)
    checked = check_row(ranking.rows[0], fa.load_source(addresses["bert"]), target)
    assert -1 <= checked.gain <= 1
