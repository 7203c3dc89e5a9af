"""How models of transformers read: tokenizers and image processors as preprocessing."""

import json
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address
from featalign.sources.extras import require
from featalign.sources.input_form import InputForm
from featalign.sources.preprocessing import as_picture
from featalign.sources.reading import Reading
from featalign.sources.torch.hf_families import longest_text, without_masking
from featalign.sources.torch.hf_tokens import prepare_words
from featalign.targets.tokens import Token


def text_reading(address: Address, folder: Path, config: Any) -> Reading:
    """The tokenizer of a model as a preprocessing."""
    transformers = require("transformers", extra="hf", address=address.text)

    @cache
    def tokenizer() -> Any:
        with quiet():
            try:
                made = transformers.AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
            except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
                raise FeatalignError(
                    f"{address.text}: its tokenizer cannot be loaded ({first_line(error)}); save "
                    "it beside the weights with save_pretrained"
                ) from error
        _check_words(address, made)
        made.pad_token = made.pad_token or made.eos_token or made.unk_token
        made.padding_side = "right"
        return made

    @cache
    def longest() -> int:
        return int(min(tokenizer().model_max_length, longest_text(config)))

    def prepare(texts: list[Any]) -> dict[str, np.ndarray]:
        if isinstance(texts[0], Token):
            return prepare_words(tokenizer(), texts, longest(), name=address.text)
        made = tokenizer()(
            list(texts),
            padding=True,
            truncation=True,
            max_length=longest(),
            return_tensors="np",
        )
        if not np.asarray(made["input_ids"]).size:
            raise FeatalignError(
                f"{address.text}: its tokenizer makes no tokens of {texts[0]!r:.40}; save the one "
                "that the model was trained with beside the weights"
            )
        return dict(made)

    def count_tokens(texts: list[str]) -> list[int]:
        with quiet():
            return [len(ids) for ids in tokenizer()(list(texts))["input_ids"]]

    return Reading(
        input_kind="text",
        reads_tokens=True,
        preprocessing={
            "kind": "text",
            "tokenizer": "in the revision",
            "max_tokens": longest(),
        },
        prepare=prepare,
        form=InputForm(max_tokens=longest(), count_tokens=count_tokens),
        static_shapes=False,
    )


def _check_words(address: Address, tokenizer: Any) -> None:
    """Raise FeatalignError for a tokenizer without words.

    transformers makes such a one where a folder has no files of a tokenizer, and all words are
    unknown to it.
    """
    if len(tokenizer) <= len(set(tokenizer.all_special_tokens)):
        raise FeatalignError(
            f"{address.text}: its tokenizer knows no words beside its {len(tokenizer)} special "
            "tokens, its files are missing; save it beside the weights with save_pretrained"
        )


def image_reading(address: Address, folder: Path, config: Any) -> Reading:
    """The image processor of a model as a preprocessing."""
    transformers = require("transformers", extra="hf", address=address.text)
    with quiet():
        try:  # Pillow resizes, so that features do not depend on whether torchvision is there
            processor = transformers.AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, backend="pil"
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise FeatalignError(
                f"{address.text}: its preprocessing cannot be loaded ({first_line(error)}); save "
                "the image processor beside the weights"
            ) from error

    described = json.loads(processor.to_json_string())
    channels = int(getattr(config, "num_channels", None) or 3)
    mode = "L" if channels == 1 else "RGB"
    settings = {"do_convert_rgb": False} if channels == 1 else {}

    def prepare(images: Any) -> dict[str, np.ndarray]:
        pictures = [as_picture(image, mode) for image in images]
        made = processor(images=pictures, return_tensors="np", **settings)
        return {"pixel_values": np.asarray(made["pixel_values"], np.float32)}

    size = (
        (described.get("crop_size") if described.get("do_center_crop") else None)
        or described.get("size")
        or {}
    )
    side = size.get("shortest_edge")
    height, width = size.get("height", side), size.get("width", side)
    return Reading(
        input_kind="image",
        preprocessing={
            "kind": "image",
            "processor": described,
            "backend": "pil",
            **without_masking(config),
        },
        prepare=prepare,
        form=InputForm(None if height is None or width is None else (height, width), channels),
        static_shapes=False,
    )


class quiet:
    """A context without the progress bars of transformers and its remarks on unused weights.

    Both are as before when the last of several threads has left.
    """

    lock, inside = Lock(), 0
    before = (0, True)

    def __enter__(self) -> None:
        from transformers.utils import logging

        with quiet.lock:
            if quiet.inside == 0:
                quiet.before = logging.get_verbosity(), logging.is_progress_bar_enabled()
                logging.set_verbosity_error()
                logging.disable_progress_bar()
            quiet.inside += 1

    def __exit__(self, *reason: object) -> None:
        from transformers.utils import logging

        with quiet.lock:
            quiet.inside -= 1
            if quiet.inside == 0:
                logging.set_verbosity(quiet.before[0])
                if quiet.before[1]:
                    logging.enable_progress_bar()
