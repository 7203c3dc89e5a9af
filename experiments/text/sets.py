"""The sets of texts at hand."""

from functools import cache
from pathlib import Path

import numpy as np

from featalign import api
from featalign.targets.target import Target

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "text"
NAMES = (
    "financial_phrasebank",
    "mr",
    "cr",
    "mpqa",
    "subj",
    "sst2",
    "sst5",
    "tweet_emotion",
    "banking77",
    "clinc150_small",
    "newsgroups20",
)


@cache
def load_set(name: str) -> Target:
    """A set with all its rows."""
    return api.load_target(DATA / f"{name}.jsonl.gz")


def texts_of(target: Target) -> list[str]:
    """All texts of a target."""
    return list(target.inputs.read(np.arange(len(target))))
