"""What the configuration of a model of transformers says of its family.

These are the kind of its inputs, its longest text, the layer called its embedding, and how many
hidden states it gives. Names of folders and words in them decide nothing.
"""

import inspect
import sys
from contextlib import suppress
from typing import Any

MAX_TOKENS = 512
# where the documentation of a family calls another thing its embedding than its last hidden states
EMBEDDINGS = {
    "clip_text_model": "pooler",  # the end-of-text token, normalised
    "siglip_vision_model": "pooler",  # attention over all places, trained with the towers
    "convnext": "pooler",  # normalised, as the head reads it
    "convnextv2": "pooler",
    "dpr": "pooler",  # the class token, trained to be compared
}
# the ends of names of classes that a configuration names, where AutoModel takes another one
PARTS_OF_MODELS = ("EncoderModel", "WithProjection", "DPRContextEncoder", "DPRQuestionEncoder")
KINDS = {
    "input_ids": "text",
    "pixel_values": "image",
    "pixel_values_videos": "video",
    "input_values": "audio",
    "input_features": "audio",
    "past_values": "time series",
}


def network_class(config: Any) -> Any:
    """The class that transformers runs for a configuration; None where it has none."""
    from transformers import MODEL_MAPPING

    found = MODEL_MAPPING.get(type(config), None)
    return found[0] if isinstance(found, tuple) else found


def named_class(config: Any) -> Any:
    """The class of transformers that a configuration names, for a part of a model.

    None where AutoModel takes the right one.
    """
    import transformers

    names = getattr(config, "architectures", None) or ()
    found = next((name for name in names if name.endswith(PARTS_OF_MODELS)), None)
    return None if found is None else getattr(transformers, found, None)


def kind_of(config: Any) -> str:
    """What a network reads: "image", "text", "audio", "video" or another word for it."""
    found = network_class(config)
    if found is None:
        return "image" if hasattr(config, "patch_size") else "text"
    said = getattr(found, "input_modalities", None) or ()
    modalities = {said} if isinstance(said, str) else set(said)
    kind = KINDS.get(found.main_input_name, str(found.main_input_name))
    if kind == "image" and ("video" in modalities or getattr(config, "num_frames", 0)):
        return "video"
    if kind == "text" and modalities and "text" not in modalities:
        return f"{min(modalities)} as tokens"  # ImageGPT
    return "audio" if "audio" in modalities and kind == "text" else kind


def longest_text(config: Any) -> int:
    """How many tokens a network reads, at most 512.

    A limit of -1 or none at all means no limit of its own. Where positions begin after that of the
    padding, as in RoBERTa and its kin, so many fewer tokens fit.
    """
    positions = getattr(config, "max_position_embeddings", None) or 0
    if positions <= 0:
        return MAX_TOKENS
    if _begins_after_padding(config):
        positions -= (config.pad_token_id or 0) + 1
    return min(int(positions), MAX_TOKENS)


def embedding_of(config: Any) -> str | None:
    """The layer that is the family's embedding; None for its last hidden states."""
    part = named_class(config)
    if part is not None and part.__name__.endswith("WithProjection"):
        return "projection"
    layer = EMBEDDINGS.get(config.model_type)
    return layer if getattr(config, "vision_use_head", True) else None


def without_masking(config: Any) -> dict[str, Any]:
    """What to change in a configuration so that no part of an input is left out at random."""
    return {"mask_ratio": 0.0} if getattr(config, "mask_ratio", None) else {}


def blocks_of(config: Any) -> int:
    """How many blocks or stages a network has; 0 where that is not known.

    Where the configuration does not say it, a network without weights is asked.
    """
    said = getattr(config, "num_hidden_layers", None) or len(getattr(config, "depths", None) or ())
    return said or _num_hidden_states(config) or 0


def has_embeddings(config: Any, blocks: int) -> bool:
    """Whether hidden states begin with the embeddings, before the first block.

    Networks of stages differ in that: one without weights is asked.
    """
    if getattr(config, "num_hidden_layers", None) and not getattr(config, "depths", None):
        return True
    count = _num_hidden_states(config)
    return count is None or count != blocks


def _num_hidden_states(config: Any) -> int | None:
    """How many hidden states an image network without weights gives; None where it does not run."""
    import torch
    from transformers import AutoModel

    with suppress(Exception), torch.device("meta"):  # some compute with numbers
        network = AutoModel.from_config(config).eval()
        size = getattr(config, "image_size", None) or 224
        height, width = (size, size) if isinstance(size, int) else size
        pixels = torch.zeros(1, getattr(config, "num_channels", 3), height, width)
        return len(network(pixels, output_hidden_states=True, return_dict=True).hidden_states)
    return None


def _begins_after_padding(config: Any) -> bool:
    """Whether a network numbers positions from the padding's on, which its code says."""
    if getattr(config, "position_embedding_type", "absolute") not in (None, "absolute"):
        return False
    found = network_class(config)
    module = sys.modules.get(found.__module__) if found is not None else None
    try:
        return module is not None and "create_position_ids_from_input_ids" in inspect.getsource(
            module
        )
    except OSError:  # code that is not there as text
        return False
