"""hf/: what configurations and checkpoints of other families say, against transformers alone."""

import json
from typing import Any

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.torch.hf_families import kind_of, longest_text
from tests.sources.ecosystem import WORDS, images

transformers = pytest.importorskip("transformers", reason="needs featalign[hf]")
torch = pytest.importorskip("torch", reason="needs featalign[hf]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
NAMES = ("<s>", "[PAD]", "</s>", "[UNK]", *WORDS)
TEXTS = ["red cat runs", "blue dog", "very fast bird sings slow"]
LONG = [" ".join(np.random.default_rng(0).choice(WORDS, 70)) for _ in range(3)]


def save(network, folder, side=None):
    network.save_pretrained(folder)
    if side is not None:
        processor = transformers.ViTImageProcessorPil(size={"height": side, "width": side})
        processor.save_pretrained(folder)
        return folder
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {name: place for place, name in enumerate(NAMES)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", eos_token="</s>"
    )
    made.save_pretrained(folder)
    return folder


def vit(**changed):
    return transformers.ViTModel(
        transformers.ViTConfig(image_size=16, patch_size=8, **SIZES, **changed)
    )


def rewritten(folder, change):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda all: {f"model.{key}": value for key, value in all.items()}, "embeddings.cls_token"),
        (lambda all: {key: all[key] for key in all if "layernorm.weight" not in key}, "layernorm"),
        (lambda all: {"other": next(iter(all.values())).clone()}, "embeddings.cls_token"),
    ],
)
def test_missing_weights_are_named(tmp_path, change, named):
    folder = save(vit(), tmp_path / "vit", 16)
    rewritten(folder, change)
    pixels = images().inputs.read(np.arange(2))
    with pytest.raises(FeatalignError, match=rf"lacks weights that the features .*{named}"):
        fa.load_source(f"hf/{folder}").embed(pixels)
    assert fa.load_source(f"hf/{folder}").random_twin(0).embed(pixels)  # a twin needs none


def test_a_head_that_nothing_reads_may_be_missing(tmp_path):
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=len(NAMES), **SIZES))
    folder = save(bert, tmp_path / "bert")
    whole = fa.load_source(f"hf/{folder}")
    expected = whole.embed(TEXTS)
    rewritten(folder, lambda all: {key: all[key] for key in all if "pooler" not in key})
    source = fa.load_source(f"hf/{folder}")
    np.testing.assert_array_equal(source.embed(TEXTS)["layer_2.mean"], expected["layer_2.mean"])
    with pytest.raises(FeatalignError, match=r"lacks weights .*pooler\.dense\.bias"):
        fa.load_source(f"hf/{folder}#pooler").embed(TEXTS)
    # the last block is missing, and the first is what was asked for
    before = fa.load_source(f"hf/{folder}#layer_1").embed(TEXTS)["layer_1.mean"]
    rewritten(folder, lambda all: {key: all[key] for key in all if "layer.1." not in key})
    after = fa.load_source(f"hf/{folder}#layer_1").embed(TEXTS)["layer_1.mean"]
    np.testing.assert_array_equal(before, after)


def test_a_model_with_a_head_is_read_without_it(tmp_path):
    config = transformers.RobertaConfig(vocab_size=len(NAMES), pad_token_id=1, **SIZES)
    network = transformers.RobertaForMaskedLM(config)  # without a pooler, with a prefix
    folder = save(network, tmp_path / "roberta")
    emitted = fa.load_source(f"hf/{folder}").embed(TEXTS)["layer_2.mean"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        inputs = tokenizer(TEXTS[0], return_tensors="pt")
        states = network.eval().roberta(**inputs).last_hidden_state[0]
    np.testing.assert_allclose(emitted[0], states.mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (transformers.Data2VecVisionConfig(), "image"),
        (transformers.Dinov2Config(), "image"),
        (transformers.SwinConfig(), "image"),
        (transformers.RegNetConfig(), "image"),  # its class names no modality
        (transformers.FocalNetConfig(), "image"),
        (transformers.ElectraConfig(), "text"),
        (transformers.T5Config(), "text"),
        (transformers.LayoutLMv3Config(), "text"),
        (transformers.WhisperConfig(), "audio"),
        (transformers.HubertConfig(), "audio"),
        (transformers.ASTConfig(), "audio"),
        (transformers.VideoMAEConfig(), "video"),
        (transformers.TimesformerConfig(), "video"),
        (transformers.ImageGPTConfig(), "image as tokens"),
    ],
)
def test_the_kind_is_that_of_the_configuration(config, kind):
    assert kind_of(config) == kind


def test_other_kinds_are_refused_in_a_sentence(tmp_path):
    for config, kind in (
        (transformers.ASTConfig(), "audio"),
        (transformers.VivitConfig(), "video"),
    ):
        config.save_pretrained(tmp_path / kind)
        (tmp_path / kind / "model.safetensors").write_bytes(b"")
        with pytest.raises(FeatalignError, match=f"reads {kind}, expected a model of texts or im"):
            fa.load_source(f"hf/{tmp_path / kind}")


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (transformers.CamembertConfig(max_position_embeddings=42, pad_token_id=1), 40),
        (transformers.Data2VecTextConfig(max_position_embeddings=42, pad_token_id=1), 40),
        (transformers.XLMRobertaXLConfig(max_position_embeddings=42, pad_token_id=1), 40),
        (transformers.EsmConfig(max_position_embeddings=42, position_embedding_type="rotary"), 42),
        (transformers.BertConfig(max_position_embeddings=42, pad_token_id=1), 42),
        (transformers.GPT2Config(n_positions=42), 42),
        (transformers.T5Config(), 512),
        (transformers.XLNetConfig(), 512),
        (transformers.ModernBertConfig(), 512),
    ],
)
def test_the_longest_text_is_that_of_the_family(config, limit):
    assert longest_text(config) == limit


@pytest.mark.parametrize("name", ["Data2VecText", "RobertaPreLayerNorm"])
def test_long_texts_are_cut_where_the_network_ends(tmp_path, name):
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(NAMES), max_position_embeddings=42, pad_token_id=1, **SIZES
    )
    network = getattr(transformers, f"{name}Model")(config).eval()
    folder = save(network, tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    emitted = fa.load_source(f"hf/{folder}").embed(LONG)["layer_2.mean"]
    with torch.no_grad():
        inputs = tokenizer(LONG[1], return_tensors="pt", truncation=True, max_length=40)
        states = network(**inputs).last_hidden_state[0]
    np.testing.assert_allclose(emitted[1], states.mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ResNet", "Swin", "Pvt"])
def test_networks_of_stages_have_the_layers_that_they_give(tmp_path, name):
    settings: dict[str, dict[str, Any]] = {
        "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
        "Swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2},
        "Pvt": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    }
    config = getattr(transformers, f"{name}Config")(**settings[name])
    if name != "ResNet":
        config.image_size = 64
    if name == "Pvt":
        config.num_attention_heads = [1, 1, 2, 2]
    network = getattr(transformers, f"{name}Model")(config).eval()
    folder = save(network, tmp_path / "model", 64)
    source = fa.load_source(f"hf/{folder}")
    emitted = source.embed(images().inputs.read(np.arange(3)), source.layers)
    with torch.no_grad():
        states = network(torch.zeros(1, 3, 64, 64), output_hidden_states=True).hidden_states
    widths = [state.shape[1 if state.ndim == 4 else 2] for state in states]
    assert [features.shape[1] for features in emitted.values()] == widths


def test_nothing_is_masked_at_random(tmp_path):
    config = transformers.ViTMAEConfig(
        image_size=16, patch_size=8, mask_ratio=0.5, decoder_hidden_size=16, **SIZES
    )
    folder = save(transformers.ViTMAEModel(config), tmp_path / "mae", 16)
    pixels = images().inputs.read(np.arange(4))
    for source in (fa.load_source(f"hf/{folder}"), fa.load_source(f"hf/{folder}").random_twin(1)):
        first, second = (source.embed(pixels)["layer_2.cls"] for _ in range(2))
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_grey_images_of_colour_and_the_other_way(tmp_path):
    folder = tmp_path / "grey"
    vit(num_channels=1).save_pretrained(folder)
    transformers.ViTImageProcessorPil(
        size={"height": 16, "width": 16}, image_mean=[0.5], image_std=[0.5]
    ).save_pretrained(folder)
    source = fa.load_source(f"hf/{folder}")
    assert source.reading.form.channels == 1
    assert source.embed(images().inputs.read(np.arange(3)))["layer_2.cls"].shape == (3, 16)


def test_the_embedding_of_a_family_and_its_projection(tmp_path):
    text = {"vocab_size": len(NAMES), "eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1}
    clip_text = transformers.CLIPTextModel(transformers.CLIPTextConfig(**SIZES, **text)).eval()
    folder = save(clip_text, tmp_path / "text")
    source = fa.load_source(f"hf/{folder}")
    assert source.default_layer == "pooler"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        expected = clip_text(**tokenizer(TEXTS[1], return_tensors="pt")).pooler_output[0]
    np.testing.assert_allclose(source.embed(TEXTS)["pooler"][1], expected, rtol=1e-4, atol=1e-5)
    vision = {"image_size": 16, "patch_size": 8, **SIZES}
    siglip = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**vision)).eval()
    source = fa.load_source(f"hf/{save(siglip, tmp_path / 'siglip', 16)}")
    assert source.default_layer == "pooler"
    pixels = images().inputs.read(np.arange(3))
    with torch.no_grad():
        inputs = torch.from_numpy(source.reading.prepare(pixels)["pixel_values"])
        expected = siglip(inputs).pooler_output
    np.testing.assert_allclose(source.embed(pixels)["pooler"], expected, rtol=1e-4, atol=1e-5)
    config = transformers.CLIPConfig(text_config=text | SIZES, vision_config=vision)
    clip = transformers.CLIPModel(config).eval()
    source = fa.load_source(f"hf/{save(clip, tmp_path / 'clip', 16)}#projection")
    with torch.no_grad():
        expected = clip.get_image_features(inputs).pooler_output
    np.testing.assert_allclose(source.embed(pixels)["projection"], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(FeatalignError, match="has no layer 'projection'"):
        fa.load_source(f"hf/{tmp_path / 'siglip'}#projection").embed(pixels)


@pytest.mark.parametrize("kind", ["IA3", "LORA"])
@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("hf", "gpt2 is not on disk and the hub cannot be reached"),
        ("st", "an adapter of gpt2, not a model; merge it into its"),
    ],
)
def test_an_adapter_without_its_base_is_called_one(tmp_path, kind, scheme, said, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    described = {"peft_type": kind, "base_model_name_or_path": "gpt2"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(described))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(FeatalignError, match=said):
        fa.load_source(f"{scheme}/{tmp_path}")


def encoder_config(kind):
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return kind(vocab_size=len(NAMES), **sizes)


@pytest.mark.parametrize(
    "network",
    [
        lambda: transformers.MT5EncoderModel(encoder_config(transformers.MT5Config)),
        lambda: transformers.UMT5EncoderModel(encoder_config(transformers.UMT5Config)),
    ],
)
def test_encoders_that_were_saved_alone(tmp_path, network):
    model = network().eval()
    source = fa.load_source(f"hf/{save(model, tmp_path / 'encoder')}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "encoder")
    with torch.no_grad():
        states = model(**tokenizer(TEXTS[0], return_tensors="pt")).last_hidden_state[0]
    emitted = source.embed(TEXTS)["layer_2.mean"]
    np.testing.assert_allclose(emitted[0], states.mean(0), rtol=1e-4, atol=1e-5)
    assert source.random_twin(1).embed(TEXTS)["layer_2.mean"].shape == (3, 16)


@pytest.mark.parametrize("kind", ["DPRContextEncoder", "DPRQuestionEncoder"])
def test_passages_and_questions_by_the_token_that_is_compared(tmp_path, kind):
    config = transformers.DPRConfig(vocab_size=len(NAMES), projection_dim=0, **SIZES)
    model = getattr(transformers, kind)(config).eval()
    source = fa.load_source(f"hf/{save(model, tmp_path / 'dpr')}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "dpr")
    with torch.no_grad():
        pooled = model(**tokenizer(TEXTS[0], return_tensors="pt")).pooler_output[0]
    assert source.default_layer == "pooler"
    np.testing.assert_allclose(source.embed(TEXTS)["pooler"][0], pooled, rtol=1e-4, atol=1e-5)
    assert source.embed(TEXTS, ("layer_1.mean",))["layer_1.mean"].shape == (3, 16)


def test_towers_that_were_saved_with_their_projection(tmp_path):
    ends = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    config = transformers.CLIPTextConfig(
        vocab_size=len(NAMES), projection_dim=6, max_position_embeddings=20, **ends, **SIZES
    )
    texts = transformers.CLIPTextModelWithProjection(config).eval()
    source = fa.load_source(f"hf/{save(texts, tmp_path / 'texts')}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "texts")
    with torch.no_grad():
        right = texts(**tokenizer(TEXTS[2], return_tensors="pt")).text_embeds[0]
    np.testing.assert_allclose(source.embed(TEXTS)["projection"][2], right, rtol=1e-4, atol=1e-5)
    assert source.random_twin(1).embed(TEXTS)["projection"].shape == (3, 6)

    config = transformers.CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=6, **SIZES)
    pictures = transformers.CLIPVisionModelWithProjection(config).eval()
    source = fa.load_source(f"hf/{save(pictures, tmp_path / 'pictures', 16)}")
    pixels = images().inputs.read(np.arange(2))
    prepared = torch.from_numpy(source.reading.prepare(list(pixels))["pixel_values"])
    with torch.no_grad():
        right = pictures(pixel_values=prepared).image_embeds
    np.testing.assert_allclose(source.embed(pixels)["projection"], right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "blocks"),
    [
        (lambda: transformers.MobileNetV1Model(transformers.MobileNetV1Config(image_size=32)), 26),
        (
            lambda: transformers.MobileNetV2Model(
                transformers.MobileNetV2Config(image_size=32, depth_multiplier=0.35)
            ),
            16,
        ),
    ],
)
def test_blocks_that_no_configuration_counts(tmp_path, network, blocks):
    model = network().eval()
    source = fa.load_source(f"hf/{save(model, tmp_path / 'mobile', 32)}")
    pixels = images().inputs.read(np.arange(2))
    emitted = source.embed(pixels, source.layers)
    assert len(emitted) == blocks
    prepared = torch.from_numpy(source.reading.prepare(list(pixels))["pixel_values"])
    with torch.no_grad():
        right = model(pixel_values=prepared).last_hidden_state.mean((2, 3))
    np.testing.assert_allclose(emitted[source.default_layer], right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_a_tokenizer_without_words_is_refused(tmp_path, family):
    """transformers makes one where a folder has no files of a tokenizer."""
    config = getattr(transformers, f"{family}Config")(vocab_size=len(NAMES), **SIZES)
    getattr(transformers, f"{family}Model")(config).save_pretrained(tmp_path / "bare")
    with pytest.raises(FeatalignError, match="knows no words beside its 5 special tokens"):
        fa.load_source(f"hf/{tmp_path / 'bare'}")


def test_a_tokenizer_that_makes_no_tokens_is_named(tmp_path):
    """That of another family, whose words are of another form."""
    config = transformers.Qwen2Config(vocab_size=len(NAMES), num_key_value_heads=1, **SIZES)
    folder = save(transformers.Qwen2Model(config), tmp_path / "qwen")
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {name: place for place, name in enumerate(NAMES)}
    silent = Tokenizer(models.WordLevel(vocabulary, unk_token=None))  # drops unknown words
    silent.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=silent, pad_token="[PAD]", eos_token="</s>"
    ).save_pretrained(folder)
    with pytest.raises(FeatalignError, match="its tokenizer makes no tokens of 'QUITE other'"):
        fa.load_source(f"hf/{folder}").embed(["QUITE other", "WORDS"])
