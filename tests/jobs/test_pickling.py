"""A job can go to another process when its parts can."""

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from featalign.jobs.examine import Wanted
from featalign.jobs.rank_source import RankSource, rank_source
from featalign.session import Session
from featalign.sources.resident import Resident
from featalign.sources.source import Source
from featalign.statistics.once import once
from featalign.targets.target import Target

WANTED = Wanted(scorers=("knn", "logme"))


def target():
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (40, 8, 8, 3), np.uint8)
    return Target.from_arrays("noise", images, np.arange(40) % 4)


def test_a_job_is_done_in_another_process_as_here(tmp_path):
    job = RankSource(source="zoo/resnet_digits", target=target(), wanted=WANTED)
    (here,) = rank_source(job, Session(store=Store(tmp_path / "here")))
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    code = (
        "import pickle, sys\n"
        "from pathlib import Path\n"
        "from featalign.embeddings.store import Store\n"
        "from featalign.jobs.rank_source import rank_source\n"
        "from featalign.session import Session\n"
        "folder = Path(sys.argv[1])\n"
        "job = pickle.loads((folder / 'job').read_bytes())\n"
        "rows = rank_source(job, Session(store=Store(folder / 'there')))\n"
        "(folder / 'rows').write_bytes(pickle.dumps(rows))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    (there,) = pickle.loads((tmp_path / "rows").read_bytes())
    assert there == here
    assert there.scores["logme"].ok


def test_sources_of_files_and_models_of_python_go_too(tmp_path):
    source = Source.from_features("file", str(tmp_path / "features.npy"))
    again = pickle.loads(pickle.dumps(source))
    assert (again.name, again.features_file) == (source.name, source.features_file)
    with pytest.raises(FeatalignError, match="holds features of one target"):
        again.embed(np.ones((2, 3)))
    model = Resident(list)
    model().append("large")
    assert not pickle.loads(pickle.dumps(model)).is_held
    assert pickle.loads(pickle.dumps(model))() == []


def test_what_was_made_once_is_made_anew_in_a_copy():
    made = Made(3)
    assert made.double() is made.double()
    again = pickle.loads(pickle.dumps(made))
    assert again.double() == made.double() == [6]
    assert copy.deepcopy(made).double() == [6]


@dataclass(frozen=True)
class Made:
    value: int

    @once
    def double(self) -> list[int]:
        """A list, so that it can be told from its copy."""
        return [2 * self.value]
