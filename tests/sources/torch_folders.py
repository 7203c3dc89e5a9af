"""Tiny models of transformers and sentence-transformers with random weights, each in a folder."""

from pathlib import Path
from typing import Any

import torch

from tests.sources.ecosystem import BERT, WORDS


def tokenizer() -> Any:
    """A tokenizer of the few words that the texts of ecosystem.py are made of."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: index for index, word in enumerate(("[PAD]", "[UNK]", "</s>", *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"eos_token": "</s>", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, model_max_length=24, **special
    )


def bert(place: Path) -> Path:
    """A folder with a BERT of two blocks."""
    import transformers

    torch.manual_seed(0)
    transformers.BertModel(
        transformers.BertConfig(vocab_size=len(WORDS) + 3, **BERT)
    ).save_pretrained(place)
    tokenizer().save_pretrained(place)
    return place


def gpt2(place: Path) -> Path:
    """A folder with a GPT-2 of two blocks, whose weights are transposed."""
    import transformers

    torch.manual_seed(0)
    transformers.GPT2Model(
        transformers.GPT2Config(
            vocab_size=len(WORDS) + 3,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=24,
            eos_token_id=2,
            bos_token_id=2,
        )
    ).save_pretrained(place)
    tokenizer().save_pretrained(place)
    return place


def vit(place: Path) -> Path:
    """A folder with a vision transformer of two blocks."""
    import transformers

    torch.manual_seed(0)
    transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=16,
            patch_size=8,
        )
    ).save_pretrained(place)
    transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(place)
    return place


def sentences(place: Path) -> Path:
    """A folder of sentence-transformers: a BERT, its mean, and a dense layer."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    inner = bert(place / "bert")
    modules = [Transformer(str(inner)), Pooling(16, pooling_mode="mean"), Dense(16, 5)]
    SentenceTransformer(modules=modules, device="cpu").save(str(place / "sentences"))
    return place / "sentences"
