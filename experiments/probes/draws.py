"""Random inputs of the kinds on which a logistic regression goes wrong."""

from dataclasses import dataclass

import numpy as np

MOST_ROWS, MOST_COLUMNS, MOST_CLASSES = 2000, 500, 50
SHAPES = 200  # a fit is compiled once a shape


@dataclass(frozen=True)
class Draw:
    """Features (N, D) and labels (N,) of one draw, and what was done to its columns."""

    number: int
    features: np.ndarray
    labels: np.ndarray
    kind: str


def draw(number: int) -> Draw:
    """The draw of this number.

    10 to 2000 rows, 1 to 500 columns, 2 to 50 classes, in 200 shapes; the rarest class has 1 row or
    more, the signal goes from none to separable; columns have scales of 1e-6 to 1e6 in half of the
    draws, copies in a third, constants in a third.

    >>> first = draw(0)
    >>> first.features.shape[0] == len(first.labels), len(np.unique(first.labels)) >= 2
    (True, True)
    """
    rows, columns, classes = _shape(number % SHAPES)
    random = np.random.default_rng([1, number])
    labels = _labels(rows, classes, random)
    signal = random.choice([0.0, 0.3, 1.0, 3.0])
    means = signal * random.normal(size=(classes, columns))
    features = random.normal(size=(rows, columns)) + means[labels]
    done = []
    if random.random() < 1 / 3:
        copied = random.integers(0, columns, max(1, columns // 3))
        features = np.concatenate([features, features[:, copied]], axis=1)[:, -columns:]
        done.append("copies")
    if random.random() < 1 / 2:
        features = features * 10.0 ** random.uniform(-6, 6, columns)
        done.append("scales")
    if random.random() < 1 / 3:
        constant = random.random(columns) < 0.3
        features[:, constant] = random.choice([0.0, 1.0, 1e6])
        done.append("constants")
    return Draw(number, features, labels, " ".join(done) or "plain")


def _shape(number: int) -> tuple[int, int, int]:
    """Rows, columns and classes, each evenly on a logarithmic scale."""
    random = np.random.default_rng([0, number])
    rows = round(np.exp(random.uniform(np.log(10), np.log(MOST_ROWS))))
    columns = round(np.exp(random.uniform(0, np.log(MOST_COLUMNS))))
    classes = round(np.exp(random.uniform(np.log(2), np.log(MOST_CLASSES))))
    return rows, columns, min(classes, rows // 2)


def _labels(rows: int, classes: int, random: np.random.Generator) -> np.ndarray:
    """Every class with a row at least: even, uneven, or all but a few rows of one class."""
    shares = {
        "even": np.full(classes, 1 / classes),
        "uneven": random.dirichlet(np.full(classes, 0.3)),
        "rare": np.append(np.ones(1), np.zeros(classes - 1)),
    }[str(random.choice(["even", "uneven", "rare"]))]
    few = np.repeat(np.arange(classes), random.integers(1, 4, classes))
    few = few[np.sort(np.unique(few, return_index=True)[1])] if len(few) > rows else few
    rest = random.choice(classes, rows - len(few), p=shares)
    return random.permutation(np.concatenate([few, rest]))
