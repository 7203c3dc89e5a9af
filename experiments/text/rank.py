"""The candidates ranked on every set, and a head really trained on each.

`python -m experiments.text rank` does it. Interrupted, it goes on where it was.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.text.models import addresses
from experiments.text.sets import NAMES, load_set, texts_of
from featalign import api
from featalign.study.records import append_record, read_records
from featalign.targets.target import Target
from featalign.training.fine_tuning import binomial
from featalign.training.rows import measured_rows

RESULTS = Path(__file__).parent / "results.jsonl"
KEY = ("target", "source")
ROWS, ROWS_A_CLASS, TEST = 400, 8, 500
SCORES = (
    "linear_probe",
    "knn",
    "logme",
    "h_score_shrunk",
    "nleep",
    "gbc",
    "transrate",
    "sfda",
    "parc",
    "cka",
    "label_overlap",
    "rankme",
)
SCRATCH = "words, from scratch"
SEED = 0


def load_part(name: str) -> Target:
    """So many rows of a set, with the test rows that measure held out."""
    whole = load_set(name)
    return whole.subset(max(ROWS, ROWS_A_CLASS * whole.num_classes), SEED)


def examined(target: Target) -> Iterator[dict[str, Any]]:
    """A record for each candidate.

    It has its place in the ranking as users get it, and what its head reaches.
    """
    candidates = {address: name for name, address in addresses().items()}
    ranking = api.rank(list(candidates), target, seed=SEED)
    if ranking.failures:
        raise SystemExit("; ".join(ranking.failures.values()))
    for place, row in enumerate(ranking.rows, 1):
        start = time.perf_counter()
        head = api.fine_tune(row.source, target, arm="probe", seed=SEED, max_test=TEST)
        assert row.forecast is not None
        yield {
            "target": target.name,
            "source": candidates[row.source],
            "rows": len(target),
            "classes": target.num_classes,
            "place": place,
            "ordered_by": ranking.ordered_by,
            "scores": {
                name: round(row.scores[name].value, 5) if row.scores[name].ok else None
                for name in SCORES
            },
            "forecast": [
                round(value, 4)
                for value in (
                    row.forecast.accuracy.value,
                    row.forecast.accuracy.low,
                    row.forecast.accuracy.high,
                )
            ],
            "verdict": row.verdict,
            "head": [
                round(value, 4)
                for value in (head.accuracy.value, head.accuracy.low, head.accuracy.high)
            ],
            "test_rows": head.num_test,
            "seconds": round(sum(row.seconds.values()) + time.perf_counter() - start, 1),
        }


def from_words(target: Target) -> dict[str, Any]:
    """What the words of the same rows reach without any pretraining.

    They are read by their TF-IDF and a logistic regression, by scikit-learn.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline

    held_out = target.held_out
    assert held_out is not None
    test = held_out.take(measured_rows(held_out.labels, TEST))
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        LogisticRegressionCV(Cs=5, cv=3, max_iter=2000),
    )
    model.fit(texts_of(target), target.labels)
    accuracy = float(model.score(texts_of(test), test.labels))
    found = binomial(accuracy, len(test))
    return {
        "target": target.name,
        "source": SCRATCH,
        "rows": len(target),
        "classes": target.num_classes,
        "head": [round(value, 4) for value in (found.value, found.low, found.high)],
        "test_rows": len(test),
    }


def main() -> None:
    done = {each["target"] for each in read_records(RESULTS, key=KEY) if each["source"] == SCRATCH}
    for name in NAMES:
        if name in done:
            continue
        target = load_part(name)
        for record in (
            *examined(target),
            from_words(target),
        ):  # the last one says that a set is done
            append_record(RESULTS, record)
            print(record, file=sys.stderr)
