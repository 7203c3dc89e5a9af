"""st/: other architectures of sentence-transformers, against the library alone."""

from typing import Any

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from tests.sources.ecosystem import WORDS

library = pytest.importorskip("sentence_transformers", reason="needs featalign[st]")
torch = pytest.importorskip("torch", reason="needs featalign[st]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

NAMES = ("<s>", "[PAD]", "</s>", "[UNK]", *WORDS)
TEXTS = ["red cat runs", "blue dog", "very fast bird sings slow"]
DISTILBERT: dict[str, Any] = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
MT5: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}


def tokens():
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {name: place for place, name in enumerate(NAMES)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return words


def saved(folder, name, settings, *modules, **options):
    """A model of sentence-transformers on a network of random weights; the folder of it."""
    import transformers
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    config = getattr(transformers, f"{name}Config")(vocab_size=len(NAMES), **settings)
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder / "network")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens(), unk_token="[UNK]", pad_token="[PAD]", eos_token="</s>"
    ).save_pretrained(folder / "network")
    parts = [Transformer(str(folder / "network")), Pooling(16, "mean"), *modules]
    model = library.SentenceTransformer(modules=parts, device="cpu", **options)
    model.save(str(folder / "sentences"))
    return folder / "sentences"


@pytest.mark.parametrize(("name", "settings"), [("DistilBert", DISTILBERT), ("MT5", MT5)])
def test_width_and_twin(tmp_path, name, settings):
    folder = saved(tmp_path, name, settings, truncate_dim=5)
    source = fa.load_source(f"st/{folder}")
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert expected.shape == (3, 5)
    emitted = source.embed(TEXTS)["features"]
    np.testing.assert_allclose(emitted, expected, rtol=1e-4, atol=1e-5)
    assert source.preprocessing["truncate_dim"] == 5
    first, same, other = (source.random_twin(seed).embed(TEXTS)["features"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert first.shape == (3, 5)
    assert not np.allclose(first, other)
    assert not np.allclose(first, emitted)


@pytest.mark.parametrize("lost", ["transformer.layer.1.", "embeddings."])
def test_missing_weights_are_named(tmp_path, lost):
    from safetensors.torch import load_file, save_file

    folder = saved(tmp_path, "DistilBert", DISTILBERT)
    path = next(folder.rglob("model.safetensors"))
    weights = {key: value for key, value in load_file(path).items() if not key.startswith(lost)}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(FeatalignError, match=rf"lacks weights that the features .*{lost}"):
        fa.load_source(f"st/{folder}").embed(TEXTS)


def test_a_network_of_a_checkpoint_with_a_head_is_whole(tmp_path):
    import transformers

    folder = saved(tmp_path, "DistilBert", DISTILBERT)
    config = transformers.DistilBertConfig(vocab_size=len(NAMES), **DISTILBERT)
    place = next(folder.rglob("model.safetensors")).parent
    transformers.DistilBertForMaskedLM(config).save_pretrained(place)
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    emitted = fa.load_source(f"st/{folder}").embed(TEXTS)["features"]
    np.testing.assert_allclose(emitted, expected, rtol=1e-4, atol=1e-5)


def test_a_table_of_words_begins_anew(tmp_path):
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    static = StaticEmbedding(tokens(), embedding_dim=6)
    library.SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path))
    source = fa.load_source(f"st/{tmp_path}")
    own, twin = source.embed(TEXTS)["features"], source.random_twin(3).embed(TEXTS)["features"]
    assert own.shape == twin.shape == (3, 6)
    assert not np.allclose(own, twin)


def test_a_module_that_cannot_begin_anew_is_named(tmp_path):
    from sentence_transformers.sentence_transformer.modules import WeightedLayerPooling

    module = WeightedLayerPooling(16, num_hidden_layers=2, layer_start=1)
    folder = saved(tmp_path, "DistilBert", DISTILBERT, module)
    with pytest.raises(FeatalignError, match="its WeightedLayerPooling does not say how its wei"):
        fa.load_source(f"st/{folder}").random_twin(0).embed(TEXTS)
