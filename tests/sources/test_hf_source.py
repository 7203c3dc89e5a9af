"""hf/: real models of transformers with random weights, saved by transformers."""

from typing import Any

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.torch.hf_tokens import prepare_words
from featalign.targets.tokens import Token
from tests.sources.ecosystem import BERT, WORDS, counting, images, ranked_twice, texts

pytest.importorskip("transformers", reason="needs featalign[hf]")
torch = pytest.importorskip("torch", reason="needs featalign[hf]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny BERT, GPT-2, T5 and ViT, one folder each."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("models")
    vocabulary = {word: index for index, word in enumerate(("[PAD]", "[UNK]", "</s>", *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    sizes: dict[str, Any] = {"vocab_size": len(vocabulary)}
    configurations = {
        "bert": transformers.BertConfig(**BERT, **sizes),
        "gpt2": transformers.GPT2Config(
            n_embd=16, n_layer=2, n_head=2, n_positions=24, eos_token_id=2, bos_token_id=2, **sizes
        ),
        "t5": transformers.T5Config(
            d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, **sizes
        ),
        "vit": transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=16,
            patch_size=8,
        ),
    }
    torch.manual_seed(0)
    for name, configuration in configurations.items():
        transformers.AutoModel.from_config(configuration).save_pretrained(place / name)
        if name != "vit":
            special = {"eos_token": "</s>", "unk_token": "[UNK]"} | (
                {} if name == "gpt2" else {"pad_token": "[PAD]"}
            )
            transformers.PreTrainedTokenizerFast(
                tokenizer_object=words, model_max_length=24, **special
            ).save_pretrained(place / name)
    transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(
        place / "vit"
    )
    return place


def states(folder, text):
    """All hidden states (T, D) of one text, without padding, by transformers alone."""
    import transformers

    model, tokenizer = (
        transformers.AutoModel.from_pretrained(folder).eval(),
        transformers.AutoTokenizer.from_pretrained(folder),
    )
    model = model.get_encoder() if folder.name == "t5" else model
    with torch.no_grad():
        return [
            state[0].numpy()
            for state in model(
                **tokenizer(text, return_tensors="pt"), output_hidden_states=True
            ).hidden_states
        ]


@pytest.mark.parametrize(("name", "pooling"), [("bert", "mean"), ("gpt2", "last"), ("t5", "mean")])
def test_texts_from_address_to_ranking(folder, tmp_path, monkeypatch, name, pooling):
    import transformers

    model = {
        "bert": transformers.BertModel,
        "gpt2": transformers.GPT2Model,
        "t5": transformers.models.t5.modeling_t5.T5Stack,
    }[name]
    calls, target = counting(monkeypatch, model), texts()
    source = fa.load_source(f"hf/{folder / name}")
    ranking = ranked_twice([source, source.random_twin(3)], target, tmp_path, calls)
    assert source.layers == tuple(
        f"{layer}.{pooling}" for layer in ("embeddings", "layer_1", "layer_2")
    )
    assert source.default_layer == f"layer_2.{pooling}"
    assert {(row.source, row.layer) for row in ranking.rows} == {
        (one, layer)
        for one in (source.name, f"{source.name} random twin 3")
        for layer in source.layers
    }
    some = target.inputs.read(np.arange(5))
    emitted = source.embed(some, source.layers)
    for row, text in enumerate(some):
        for layer, state in zip(source.layers, states(folder / name, text), strict=True):
            expected = state[-1] if pooling == "last" else state.mean(axis=0)
            np.testing.assert_allclose(emitted[layer][row], expected, rtol=1e-4, atol=1e-5)


def test_images_from_address_to_ranking(folder, tmp_path, monkeypatch):
    import transformers

    calls, target = counting(monkeypatch, transformers.ViTModel), images()
    source = fa.load_source(f"hf/{folder / 'vit'}")
    ranking = ranked_twice([source, source.random_twin(3)], target, tmp_path, calls)
    assert source.layers == ("embeddings.cls", "layer_1.cls", "layer_2.cls")
    assert len(ranking.rows) == 6
    processor, model = (
        transformers.ViTImageProcessorPil.from_pretrained(folder / "vit"),
        transformers.ViTModel.from_pretrained(folder / "vit").eval(),
    )
    pixels = target.inputs.read(np.arange(4))
    with torch.no_grad():
        expected = model(**processor(list(pixels), return_tensors="pt")).last_hidden_state
    np.testing.assert_allclose(
        source.embed(pixels)["layer_2.cls"], expected[:, 0], rtol=1e-4, atol=1e-5
    )
    averaged = fa.load_source(f"hf/{folder / 'vit'}#mean")
    np.testing.assert_allclose(
        averaged.embed(pixels)["layer_2.mean"], expected[:, 1:].mean(dim=1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("name", "pooling"), [("bert", "mean"), ("gpt2", "last")])
def test_words_in_their_sentences(folder, tmp_path, name, pooling):
    random = np.random.default_rng(0)
    sentences = [random.choice(WORDS, random.integers(2, 9)).tolist() for _ in range(20)]
    target = fa.Target.from_tokens(
        "colours", sentences, [[int(word in WORDS[:3]) for word in words] for words in sentences]
    )
    source = fa.load_source(f"hf/{folder / name}")
    ranking = fa.rank(
        [source, source.random_twin(0)], target, cache=tmp_path, scorers=["linear_probe"]
    )
    assert not ranking.failures
    assert ranking.best.scores["linear_probe"].value > 0.9
    rows = target.inputs.read(np.arange(30))
    emitted = source.embed(rows, source.layers)
    for row, token in enumerate(rows):
        for layer, state in zip(
            source.layers, states(folder / name, " ".join(token.words)), strict=True
        ):
            np.testing.assert_allclose(
                emitted[layer][row], state[token.place], rtol=1e-4, atol=1e-5
            )
    long = fa.Target.from_tokens(
        "long", [["red", "cat"] * 20, ["dog"]], [[0, 1] * 20, [0]]
    ).inputs.read(np.arange(41))
    halves = source.embed(long)[f"layer_2.{pooling}"]  # 40 words do not fit into 24 places
    np.testing.assert_allclose(halves[20:40], halves[:20], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        halves[3], states(folder / name, " ".join(long[0].words[:20]))[2][3], rtol=1e-4, atol=1e-5
    )


def test_pieces_of_words(folder):
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = Tokenizer(
        models.WordPiece({"[UNK]": 0, "red": 1, "##dish": 2, "cat": 3, "s": 4}, unk_token="[UNK]")
    )
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces, unk_token="[UNK]", pad_token="[UNK]"
    )
    rows = [
        Token(("reddish", "cat"), 0),
        Token(("reddish", "cat"), 1),
        Token(("red",), 0),
        Token(("cat", "unknown", ""), 1),
        Token(("cat", ""), 1),
    ]
    made = prepare_words(tokenizer, rows, 8, name="here")
    assert made["sentence_of_row"].tolist() == [0, 0, 1, 2, 3]
    assert made["pieces_of_row"].tolist() == [[1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert "offset_mapping" not in made
    with pytest.raises(
        FeatalignError, match=r"^here: expected a tokenizer that says where its pieces stand"
    ):
        prepare_words(object(), rows, 8, name="here")


def test_words_are_refused_by_what_reads_texts_alone(folder):
    target = fa.Target.from_tokens("words", [["red", "cat"]] * 4, [["a", "b"]] * 4)
    with pytest.raises(
        FeatalignError,
        match=r"asked for 'layer_2.cls', which is the same for all words; use layer_2.mean",
    ):
        fa.load_source(f"hf/{folder / 'bert'}#cls").embed(target.inputs.read(np.arange(3)))
    with pytest.raises(
        FeatalignError,
        match=r"it reads image inputs, but words holds token inputs; .*such as a text model by hf/",
    ):
        fa.embed("zoo/resnet_digits", target)


def test_layer_and_pooling_of_an_address(folder):
    names = {
        address: fa.load_source(f"hf/{folder / 'bert'}#{address}").default_layer
        for address in ("layer_1", "layer_1.cls", "cls", "last")
    }
    assert names == {
        "layer_1": "layer_1.mean",
        "layer_1.cls": "layer_1.cls",
        "cls": "layer_2.cls",
        "last": "layer_2.last",
    }
    for wrong in ("layer_9", "layer_1.most", "pooler.mean"):
        with pytest.raises(
            FeatalignError,
            match=r"has no layer .* it has embeddings, layer_1, layer_2, each with \.mean",
        ):
            fa.load_source(f"hf/{folder / 'bert'}#{wrong}")


def test_twins_follow_their_seed_and_leave_the_users_numbers_alone(folder):
    source = fa.load_source(f"hf/{folder / 'bert'}")
    before = torch.random.get_rng_state()
    first, same, other = (source.random_twin(seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.revision == same.revision
    assert len({source.revision, first.revision, other.revision}) == 3
    emitted = [
        model.embed(["red cat runs"])["layer_2.mean"] for model in (source, first, same, other)
    ]
    np.testing.assert_array_equal(emitted[1], emitted[2])
    assert not np.allclose(emitted[0], emitted[1])
    assert not np.allclose(emitted[1], emitted[3])
    assert source.differentiable is None


def test_the_revision_is_of_the_files_and_not_of_their_place(folder, tmp_path):
    import shutil

    import safetensors.torch

    moved = shutil.copytree(folder / "bert", tmp_path / "elsewhere")
    assert (
        fa.load_source(f"hf/{moved}").revision == fa.load_source(f"hf/{folder / 'bert'}").revision
    )
    weights = safetensors.torch.load_file(moved / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][3, 0] += 1
    safetensors.torch.save_file(weights, moved / "model.safetensors", metadata={"format": "pt"})
    assert (
        fa.load_source(f"hf/{moved}").revision != fa.load_source(f"hf/{folder / 'bert'}").revision
    )


def test_long_texts_are_said_to_be_cut(folder, tmp_path):
    target = texts()
    long = fa.Target.from_arrays(
        "long",
        [
            text + " red" * (30 if row < 6 else 0)
            for row, text in enumerate(target.inputs.read(np.arange(24)))
        ],
        target.labels,
    )
    source = fa.load_source(f"hf/{folder / 'bert'}")
    row = fa.rank(source, long, cache=tmp_path, scorers=["knn"]).rows[0]
    assert len(row.warnings) == 1
    assert row.warnings[0].startswith("25% of the texts have more than 24 tokens")
    assert fa.rank(source, target, cache=tmp_path, scorers=["knn"]).rows[0].warnings == ()


def test_batches_that_do_not_fit_are_halved(folder, tmp_path, monkeypatch):
    import transformers

    source, target = fa.load_source(f"hf/{folder / 'bert'}"), texts()
    expected = source.embed(target.inputs.read(np.arange(24)))["layer_2.mean"]
    original = transformers.BertModel.forward

    def small(self, input_ids, **options):
        if len(input_ids) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, input_ids, **options)

    monkeypatch.setattr(transformers.BertModel, "forward", small)
    ranking = fa.rank(source, target, cache=tmp_path, scorers=["knn"])
    assert ranking.rows[0].warnings == (
        "batches of 24 inputs did not fit into memory and were cut to 6; the features are the same",
    )
    assert "cut to 6" in str(ranking)
    np.testing.assert_allclose(
        source.embed(target.inputs.read(np.arange(24)))["layer_2.mean"],
        expected,
        rtol=1e-4,
        atol=1e-5,
    )


def test_mixed_precision_is_another_revision(folder, monkeypatch):
    address = f"hf/{folder / 'bert'}"
    full = fa.load_source(address)
    expected = full.embed(["red cat runs"])["layer_2.mean"]
    monkeypatch.setattr("featalign.sources.torch.models.precision", lambda device: "bfloat16")
    mixed = fa.load_source(address)
    emitted = mixed.embed(["red cat runs"])["layer_2.mean"]
    assert mixed.revision != full.revision
    assert emitted.dtype == np.float32
    assert 0 < np.abs(emitted - expected).max() < 0.1


class Harm:
    """What a pickle can do: it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_weights_need_to_be_named_and_run_nothing(folder, tmp_path):
    import shutil

    import safetensors.torch

    pickled = shutil.copytree(folder / "bert", tmp_path / "bert")
    torch.save(
        safetensors.torch.load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin"
    )
    (pickled / "model.safetensors").unlink()
    with pytest.raises(
        FeatalignError,
        match=r"its weights are pickled \(pytorch_model.bin\).*"
        r"add \?allow_pickle=pytorch_model.bin",
    ):
        fa.load_source(f"hf/{pickled}")
    allowed = fa.load_source(f"hf/{pickled}?allow_pickle=pytorch_model.bin")
    expected = fa.load_source(f"hf/{folder / 'bert'}").embed(["red cat"])["layer_2.mean"]
    np.testing.assert_array_equal(allowed.embed(["red cat"])["layer_2.mean"], expected)
    torch.save({"weight": Harm(tmp_path / "harm")}, pickled / "harmful.bin")
    with pytest.raises(
        FeatalignError, match=r"harmful.bin holds more than named weights and was not read"
    ):
        fa.load_source(f"hf/{pickled}?allow_pickle=harmful.bin")
    assert not (tmp_path / "harm").exists()
    with pytest.raises(FeatalignError, match=r"there is no file \.\./x"):
        fa.load_source(f"hf/{pickled}?allow_pickle=../x")


def test_code_of_a_models_own_is_not_run(folder, tmp_path):
    import json
    import shutil

    own = shutil.copytree(folder / "bert", tmp_path / "own")
    described = json.loads((own / "config.json").read_text())
    described |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "code.Mine", "AutoModel": "code.Mine"},
    }
    (own / "config.json").write_text(json.dumps(described))
    (own / "code.py").write_text(f"open({str(tmp_path / 'harm')!r}, 'w')")
    with pytest.raises(FeatalignError, match=r"models that bring code of their own are not run"):
        fa.load_source(f"hf/{own}")
    assert not (tmp_path / "harm").exists()


def test_a_kind_it_does_not_read_is_refused(folder, tmp_path):
    with pytest.raises(FeatalignError, match="reads text inputs, but sides holds image inputs"):
        fa.rank(f"hf/{folder / 'bert'}", images(), cache=tmp_path, scorers=["knn"])
