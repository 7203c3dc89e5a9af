"""Small sources of images, and scores of random twins that are embedded by hand."""

import numpy as np

import featalign as fa
from featalign.jobs.tangent import FIRST_TWIN, TANGENT_TWINS


def squares(images):
    """Means of the quarters of each image of 8 by 8, and of the whole."""
    values = np.stack(
        [np.asarray(image, np.float32).reshape(8, 8, -1).mean(axis=2) for image in images]
    )
    quarters = values.reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(-1, 4)
    return np.concatenate([quarters, values.mean(axis=(1, 2))[:, None]], axis=1)


class Squares:
    """The same and a difference, as a preprocessing: six numbers."""

    def __call__(self, images):
        found = squares(images)
        return np.concatenate([found, found[:, :1] - found[:, 1:2]], axis=1)

    def identity(self):
        return {"numbers": 6}


def twins_of(source: fa.Source, target: fa.Target, name: str) -> float:
    """The mean of a score over two fresh networks of the source."""
    inputs = target.inputs.read(np.arange(len(target)))
    found = []
    for twin in range(TANGENT_TWINS):
        features = source.random_twin(FIRST_TWIN + twin).embed(inputs)[source.default_layer]
        found.append(fa.score(features, target.labels, [name])[name].value)
    return float(np.mean(found))
