"""Speed of the scorers: python -m experiments.performance.scoring [CASE ...].

Every line is a ratio within one run, both sides warmed up and taken in turn: against the hardware's
own floor (BLAS and LAPACK through SciPy), scikit-learn, or peers' formulas.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import scipy.linalg

import featalign as fa
from experiments.performance import baselines
from experiments.performance.timing import RESULTS, Line, compare, seconds, show_and_save
from featalign.scorers.registry import SCORERS
from featalign.statistics.rows import Rows

(dsyrk,) = scipy.linalg.get_blas_funcs(("syrk",), dtype=np.float64)
CLOSED_FORM = tuple(
    scorer.name for scorer in SCORERS if Rows not in scorer.needs and not scorer.variant
)
PROBES = ("ridge_probe", "lda", "sfda")  # closed forms too, over the rows


def _data(
    count: int, width: int, classes: int, *, seed: int = 0, signal: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Rectified Gaussian features with class means, as a network's last layer gives."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    features = random.standard_normal((count, width), dtype=np.float32)
    features += signal * random.standard_normal((classes, width), dtype=np.float32)[labels]
    return np.maximum(features, 0), labels


def tall() -> list[Line]:
    features, labels = _data(20_000, 2048, 100)
    double = features.astype(np.float64)

    def floor() -> None:
        gram = dsyrk(1.0, double.T)
        scipy.linalg.eigh(gram, lower=False, driver="evd", overwrite_a=True, check_finite=False)

    ours = compare(
        "tall: all closed-form",
        lambda: fa.score(features, labels, CLOSED_FORM),
        floor,
        against="dsyrk + eigh",
        wanted="<= 1.5",
    )
    probes = compare(
        "tall: with ridge_probe, lda, sfda",
        lambda: fa.score(features, labels, CLOSED_FORM + PROBES),
        floor,
        against="dsyrk + eigh",
        wanted="",
    )
    one = compare(
        "tall: logme",
        lambda: fa.score(features, labels, ["logme"]),
        lambda: baselines.logme_by_gram(features, labels),
        against="Gram SVD LogME",
        wanted="",
    )
    other = compare(
        "tall: h_score",
        lambda: fa.score(features, labels, ["h_score"]),
        lambda: baselines.h_score_by_pinv(features, labels),
        against="pinv H-score",
        wanted="",
    )
    return [ours, probes, one, other]


def wide() -> list[Line]:
    features, labels = _data(500, 2048, 20)
    double = features.astype(np.float64)

    def floor() -> None:
        gram = double @ double.T
        scipy.linalg.eigh(gram, driver="evd", overwrite_a=True, check_finite=False)

    ours = compare(
        "wide: all closed-form",
        lambda: fa.score(features, labels, CLOSED_FORM),
        floor,
        against="product + eigh",
        wanted="<= 2",
    )
    peer = compare(
        "wide: logme",
        lambda: fa.score(features, labels, ["logme"]),
        lambda: baselines.logme_by_svd(features, labels),
        against="SVD LogME",
        wanted="",
    )
    return [ours, peer]


def many() -> list[Line]:
    embeddings = [_data(2000, 768, 20, seed=seed)[0] for seed in range(100)]
    labels = _data(2000, 768, 20)[1]
    compiled: list[str] = []

    def note(event: str, duration_secs: float, **details: str | int) -> None:
        del duration_secs, details
        compiled.extend([event] if "backend_compile" in event else [])

    jax.monitoring.register_event_duration_secs_listener(note)
    fa.score(embeddings[0], labels, CLOSED_FORM)
    before = len(compiled)
    line = compare(
        "many: 100 embeddings",
        lambda: [fa.score(features, labels, CLOSED_FORM) for features in embeddings],
        lambda: fa.score(embeddings[0], labels, CLOSED_FORM),
        against="one embedding",
        wanted="<= 110",
        note="",
    )
    return [
        Line(**{**vars(line), "note": f"{len(compiled) - before} compilations after the first"})
    ]


def probe() -> list[Line]:
    from sklearn.linear_model import LogisticRegression

    from featalign.scorers.linear_probe import PENALTIES
    from featalign.statistics.folds import NUM_FOLDS, stratified_folds

    features, labels = _data(5000, 768, 20, signal=0.12)
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    folds = stratified_folds(labels, NUM_FOLDS, seed=0)
    accuracies = []

    def theirs() -> None:
        hits = np.zeros(len(PENALTIES))
        for fold in range(NUM_FOLDS):
            training = folds != fold
            for index, penalty in enumerate(PENALTIES):
                model = LogisticRegression(C=1 / (penalty * training.sum()), max_iter=1000)
                hits[index] += (
                    model.fit(standardised[training], labels[training]).predict(
                        standardised[~training]
                    )
                    == labels[~training]
                ).sum()
        accuracies.append(hits.max() / len(labels))

    line = compare(
        "linear_probe",
        lambda: fa.score(features, labels, ["linear_probe"]),
        theirs,
        against="scikit-learn",
        wanted="<= 0.125",
    )
    value = fa.score(features, labels, ["linear_probe"])["linear_probe"].value
    return [
        Line(
            **{
                **vars(line),
                "note": f"accuracy {100 * value:.1f}% against {100 * accuracies[-1]:.1f}%",
            }
        )
    ]


def knn() -> list[Line]:
    from sklearn.neighbors import NearestNeighbors

    features, labels = _data(20_000, 768, 20)

    def theirs() -> None:
        NearestNeighbors(n_neighbors=6, algorithm="brute").fit(features).kneighbors(
            features, return_distance=False
        )

    return [
        compare(
            "knn",
            lambda: fa.score(features, labels, ["knn"]),
            theirs,
            against="scikit-learn",
            wanted="<= 1",
        )
    ]


def intervals() -> list[Line]:
    """Zeros and intervals of all scores against the scores alone.

    Less than three more of these, so a ratio below 4.
    """
    lines = []
    for count, width, names, what in (
        (2000, 768, None, "all"),
        (5000, 768, None, "all"),
        (20_000, 2048, CLOSED_FORM, "closed-form"),
    ):
        features, labels = _data(count, width, 20)
        judged = lambda: fa.score(features, labels, names, intervals=True)  # noqa: E731, B023
        plain = lambda: fa.score(features, labels, names)  # noqa: E731, B023
        lines.append(
            compare(
                f"intervals: {what}, {count} x {width}",
                judged,
                plain,
                against="without",
                wanted="< 4",
            )
        )
    return lines


def disk() -> list[Line]:
    """1,000,000 x 512 float16 from the cache against 100,000 in memory times ten.

    Peak memory of a process of its own.
    """
    in_memory = _data(100_000, 512, 100)
    reference = lambda: fa.score(in_memory[0], in_memory[1], CLOSED_FORM)  # noqa: E731
    reference()
    with tempfile.TemporaryDirectory() as folder:
        target, source = _million()
        embedding = fa.embed(source, target, cache=folder, dtype="float16", progress=False)[
            "features"
        ]
        command = [
            sys.executable,
            "-m",
            "experiments.performance.scoring",
            "--read",
            folder,
            embedding.key,
        ]
        runs = []
        for _ in range(5):
            ten = 10 * seconds(reference)
            taken, peak = subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.split()[-2:]
            runs.append((float(taken) / ten, float(taken), ten, float(peak)))
    runs.sort()
    middle = runs[len(runs) // 2]
    note = f"peak memory {max(run[3] for run in runs):.2f} GB (wanted <= 1.5)"
    return [
        Line(
            "disk: 1,000,000 x 512",
            middle[1],
            "ten times 100,000 in memory",
            middle[2],
            middle[0],
            runs[0][0],
            runs[-1][0],
            "<= 1.3",
            note,
        )
    ]


def _million() -> tuple[fa.Target, fa.Source]:
    count, classes = 1_000_000, 100
    labels = np.arange(count) % classes
    target = fa.Target.from_arrays(
        "a million rows", np.arange(count, dtype=np.float32)[:, None], labels
    )
    means = 0.3 * np.random.default_rng(0).standard_normal((classes, 512), dtype=np.float32)

    def features(batch: np.ndarray) -> np.ndarray:
        rows = batch[:, 0].astype(int)
        noise = np.random.default_rng(rows[0]).standard_normal((len(rows), 512), dtype=np.float32)
        return np.maximum(noise + means[rows % classes], 0)

    return target, fa.Source.from_function("made up", features, revision="1")


def _read(folder: str, key: str) -> None:
    """In a process of its own: score a cached embedding twice.

    It prints the seconds of the second and the peak memory in GB.
    """
    from featalign.arrays import Labels
    from featalign.embeddings.store import Store
    from featalign.jobs.scoring import collect, scored
    from featalign.scorers.registry import select

    embedding = Store(Path(folder)).open(key)
    assert embedding is not None
    labels = embedding.labels()

    def run() -> None:
        scorers, rows = select(CLOSED_FORM), (features for _, features in embedding.blocks())
        scored(collect(rows, Labels(labels.values, labels.class_names), scorers), scorers)

    run()
    taken = seconds(run)
    # not ru_maxrss, which a process takes over from the one that started it
    peak = next(
        line
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmHWM")
    )
    print(taken, int(peak.split()[1]) * 1024 / 1e9)


CASES = {
    "tall": tall,
    "wide": wide,
    "many": many,
    "probe": probe,
    "knn": knn,
    "intervals": intervals,
    "disk": disk,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.performance.scoring", description=__doc__
    )
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--read", nargs=2, metavar=("FOLDER", "KEY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        _read(*arguments.read)
        return
    lines = [line for name in arguments.cases or CASES for line in CASES[name]()]
    show_and_save("Speed of the scorers", lines, RESULTS / "scoring.json")


if __name__ == "__main__":
    main()
