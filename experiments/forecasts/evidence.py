"""All that was really trained, with its evidence: the shipped study, the design, and the others."""

from pathlib import Path
from typing import Any

from featalign.forecasting.fit import Example
from featalign.study import shipped
from featalign.study.calibrate import TRANSFER, examples_of
from featalign.study.gathering import EVIDENCE_KEY
from featalign.study.ground_truth import Pair, ground_truth
from featalign.study.records import read_records

STUDY, THIRD_PARTY = (Path(__file__).parents[1] / name for name in ("study", "third_party"))
RECORDS = (shipped.RECORDS, THIRD_PARTY / "records.jsonl", STUDY / "records_design.jsonl")
EVIDENCE = (shipped.EVIDENCE, THIRD_PARTY / "evidence.jsonl", STUDY / "evidence_design.jsonl")
SHORT = (shipped.SHORT, STUDY / "short_design.jsonl")
LONG = STUDY / "records_long.jsonl"  # of the long budget
STRANGERS = "py:experiments.third_party.sources:"  # networks that other people made
PLANTED = ("noise", "random_labels", "shuffled_pixels")  # sources of the zoo made to harm


def records() -> list[dict[str, Any]]:
    """Every record of a trained arm."""
    return [each for path in RECORDS for each in read_records(path)]


def evidence() -> list[dict[str, Any]]:
    """Every record of evidence."""
    return [each for path in EVIDENCE for each in read_records(path, key=EVIDENCE_KEY)]


def examples(share: float | None = None) -> list[Example]:
    """Every trained pair with its evidence, or those with short runs of a share of a training."""
    short = [] if share is None else [each for path in SHORT for each in read_records(path)]
    return examples_of(records(), evidence(), short, share=share)


def pairs() -> tuple[Pair, ...]:
    """The measured pairs, by the better of a probe and full fine-tuning."""
    arms = (*TRANSFER, "scratch")
    return ground_truth([each for each in records() if each["arm"] in arms])


def long_pairs() -> tuple[Pair, ...]:
    """The pairs that were trained with the long budget."""
    found = read_records(LONG) if LONG.exists() else []
    return ground_truth(found) if found else ()


def is_stranger(example: Example) -> bool:
    """Whether other people made the network."""
    return example.source.startswith(STRANGERS)


def is_ordinary(example: Example) -> bool:
    """Whether the source was not made to harm."""
    name = example.source.removeprefix("zoo/")
    return not any(name.endswith(planted) for planted in PLANTED)


def family(example: Example) -> str:
    """What shares an architecture among the networks of others; every other source is its own."""
    if not is_stranger(example):
        return example.source
    return example.source.removeprefix(STRANGERS).split("_")[0]
