"""A job can go to another process when its parts can."""

import pickle
import subprocess
import sys

import numpy as np

from featalign.embeddings.store import Store
from featalign.jobs.examine import Wanted
from featalign.jobs.rank_source import RankSource, rank_source
from featalign.session import Session
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
