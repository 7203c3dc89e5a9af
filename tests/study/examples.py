"""Examples of a world as the files of a study have them.

The files hold records of trained arms, evidence, and short runs.
"""

from collections.abc import Iterable
from typing import Any

from featalign.forecasting.fit import Example
from featalign.records.plain import to_plain
from tests.study.test_ground_truth import record

WHOLE = 300  # steps of one training


def records_of(
    examples: Iterable[Example], *, seeds: tuple[int, ...] = (0,), spread: float = 0.0
) -> list[dict[str, Any]]:
    """Records of every arm and of scratch, which each source trains for itself.

    `full` is the best on validation rows, and seeds differ by `spread`.
    """
    found = []
    for each in examples:
        for seed in seeds:
            apart = spread * (seed - sum(seeds) / len(seeds))
            of = {
                "target": each.target,
                "size": each.situation.num_rows,
                "seed": seed,
                "scratch": each.source,
            }
            for arm, accuracy in {**each.arms, "scratch": each.scratch}.items():
                made = record(
                    each.source,
                    arm,
                    accuracy + apart,
                    validation=0.9 if arm == "full" else 0.5,
                    **of,
                )
                named = {
                    "num_classes": each.situation.num_classes,
                    "dataset": each.dataset,
                    "revision": each.revision,
                    "fingerprint": f"{each.target} {seed}",
                }
                setting = {"learning_rate": 0.1, "steps": WHOLE, "batch_size": 32}
                found.append({"schema": 1, **made, **named, "setting": setting})
    return found


def evidence_of(examples: Iterable[Example], *, seed: int = 0) -> list[dict[str, Any]]:
    """Evidence as a study keeps it."""
    found = []
    for each in examples:
        key = {
            "source": each.source,
            "target": each.target,
            "size": each.situation.num_rows,
            "seed": seed,
        }
        found.append(
            {
                "schema": 1,
                **key,
                "revision": each.revision,
                "fingerprint": f"{each.target} {seed}",
                "evidence": to_plain(each.evidence),
            }
        )
    return found


def short_records_of(examples: Iterable[Example], *, seed: int = 0) -> list[dict[str, Any]]:
    """Short runs of half a training that end as the examples say, looked at every twentieth of it.

    Before the end they say little.
    """
    found = []
    for each in examples:
        assert each.short is not None
        steps = [WHOLE // 20 * (place + 1) for place in range(10)]
        ends = {
            "full": (each.short.accuracy, each.short.loss),
            "scratch": (each.short.scratch_accuracy, each.short.scratch_loss),
        }
        for arm, (accuracy, loss) in ends.items():
            last = round(each.short.share * 20) - 1
            accuracies = [accuracy if place == last else 0.01 * place for place in range(10)]
            losses = [
                loss if place == last else loss + (1 + place if place < last else -0.1)
                for place in range(10)
            ]
            key = {
                "source": each.source,
                "target": each.target,
                "size": each.situation.num_rows,
                "seed": seed,
                "arm": arm,
            }
            found.append(
                {
                    "schema": 1,
                    **key,
                    "whole": WHOLE,
                    "steps": steps,
                    "accuracies": accuracies,
                    "losses": losses,
                }
            )
    return found
