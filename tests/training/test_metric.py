"""Arms under another metric: what chooses, what is measured, and what is recorded."""

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.metrics import metric_for
from featalign.records.fine_tuned import Run
from featalign.training.measures import probabilities
from tests.training.examples import clouds, small_source

pytestmark = pytest.mark.slow
SMALL = small_source()


def unbalanced():
    points, labels = clouds(200, 0, shares=(0.8, 0.15, 0.05))
    held = clouds(160, 1, shares=(0.8, 0.15, 0.05))
    return fa.Target.from_arrays("clouds", points, labels, held_out=held)


def tuned(metric, target=None, **options):
    return fa.fine_tune(
        SMALL, target or unbalanced(), arm="probe", steps=20, metric=metric, **options
    )


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "average_precision"])
def test_the_metric_is_measured_beside_the_accuracy(name):
    found = tuned(name)
    assert found.metric == name
    assert found.measured is not None
    assert found.measured.low < found.measured.value < found.measured.high
    assert found.measured != found.accuracy
    best = max(run.validation_metric or 0 for run in found.runs)
    assert found.chosen.validation_metric == best
    assert fa.FineTuned.from_json(found.to_json()) == found


def test_accuracy_is_what_it_was():
    plain, said = tuned(None), tuned("accuracy")
    assert (plain.metric, plain.measured) == ("accuracy", plain.accuracy)
    assert all(run.test_metric is None and run.validation_metric is None for run in plain.runs)
    assert [run.test_hits for run in plain.runs] == [run.test_hits for run in said.runs]


def test_a_run_is_chosen_by_the_metric_and_then_by_the_loss():
    def run(accuracy, loss, metric=None):
        return Run(
            learning_rate=0.1,
            validation_accuracy=accuracy,
            validation_loss=loss,
            test_accuracy=0.5,
            test_hits="",
            curve=(),
            validation_metric=metric,
        )

    plain = [run(0.9, 0.3), run(0.8, 0.1)]
    assert min(plain, key=lambda each: each.validation_order) is plain[0]
    judged = [run(0.9, 0.3, 0.4), run(0.8, 0.1, 0.6), run(0.8, 0.05, 0.6)]
    assert min(judged, key=lambda each: each.validation_order) is judged[2]


def test_logits_that_are_not_finite_are_wrong_under_every_metric():
    labels, scores = np.array([0, 1, 1]), np.array([[np.nan, 0.0], [np.inf, 1.0], [0.0, 2.0]])
    shares = probabilities(scores, labels)
    assert shares.argmax(axis=1).tolist() == [1, 0, 1]
    assert metric_for("classification", "balanced_accuracy").compute(labels, shares) == 0.25


def test_metrics_of_numbers_are_refused():
    with pytest.raises(FeatalignError, match=r"metric: expected one of accuracy.*got 'spearman'"):
        tuned("spearman")
