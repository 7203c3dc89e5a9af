import json

import numpy as np
import pytest

from featalign.targets.batches import batches
from featalign.targets.loaders import load_target
from tests.shared import SHARED, needs_shared
from tests.targets.pictures import write_folder

TEXTS = sorted((SHARED / "data" / "text").glob("*.jsonl.gz"))


@needs_shared
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_real_texts(path):
    described = json.loads(path.with_name(path.name.replace(".jsonl.gz", ".json")).read_text())
    target = load_target(path)
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (described["n_train"], described["n_test"])
    assert set(target.class_names) == set(described["classes"])
    per_class = dict(zip(described["classes"], described["per_class_train"], strict=True))
    np.testing.assert_array_equal(
        np.bincount(target.labels), [per_class[name] for name in target.class_names]
    )


@needs_shared
def test_real_images_from_an_archive_and_from_a_folder(tmp_path):
    archive = load_target(SHARED / "data" / "images" / "mnist.npz", subset=100, seed=1)
    assert repr(archive) == "Target('mnist', 100 images, 10 classes, 2000 held out)"
    rows = np.argsort(archive.labels, kind="stable")
    in_order = archive.take(rows)
    images = in_order.inputs.read(np.arange(100))
    folder = load_target(
        write_folder(
            tmp_path, np.asarray(images), [archive.class_names[label] for label in in_order.labels]
        )
    )
    assert folder.fingerprint == in_order.fingerprint
    chosen = np.arange(0, 100, 3)
    read = np.concatenate(
        [np.asarray(batch.inputs)[batch.valid] for batch in batches(folder, 32, rows=chosen)]
    )
    np.testing.assert_array_equal(read, np.asarray(images)[chosen])
