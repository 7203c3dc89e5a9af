"""Compiled code on disk: what is kept, and that JAX's configuration is the user's again."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import featalign as fa
from featalign.jobs import compiled

pytestmark = pytest.mark.slow

NAMES = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_enable_x64",
)


def configuration():
    return {name: getattr(jax.config, name) for name in NAMES}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The platform's folder, with JAX allowed to keep code."""
    folder = tmp_path / "kept"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(folder / name))
    before = configuration()
    jax.config.update("jax_enable_compilation_cache", True)
    yield folder / "featalign-compiled"
    for name, value in before.items():
        jax.config.update(name, value)


def scores(columns):
    """Of a width that nothing else in this process has, so that something is compiled."""
    features = np.random.default_rng(0).normal(size=(30, columns))
    return fa.score(features, np.arange(30) % 2, ["linear_probe"])


def test_scoring_keeps_its_code_and_leaves_the_configuration_alone(place):
    before = configuration()
    scores(101)
    assert configuration() == before
    kept = sorted(path.name for path in place.iterdir())
    assert any("cross_validate" in name for name in kept)
    jax.jit(lambda values: values + 101)(np.ones(101))
    assert sorted(path.name for path in place.iterdir()) == kept


SCORED_ANEW = """
import sys
import jax
import numpy as np
import platformdirs
import featalign as fa

platformdirs.user_cache_dir = lambda name: sys.argv[1]
events = []
jax.monitoring.register_event_listener(lambda name, **rest: events.append(name.rsplit("/", 1)[-1]))
features = np.random.default_rng(0).normal(size=(30, 5))
value = fa.score(features, np.arange(30) % 2, ["h_score"])["h_score"].value
print(events.count("cache_hits"), events.count("cache_misses"), value)
"""


def test_another_process_compiles_nothing_anew(tmp_path):
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "true"}
    command = [sys.executable, "-c", SCORED_ANEW, str(tmp_path / "kept")]
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        for _ in range(2)
    ]
    (hits, misses, value), (hits_after, misses_after, again) = (
        each.stdout.split() for each in said
    )
    assert (int(hits), int(misses_after)) == (0, 0)
    assert int(misses) == int(hits_after) > 0
    assert value == again


def test_the_users_own_folder_stands(place, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    before = configuration()
    scores(107)
    assert configuration() == before
    assert not place.exists()


def test_nothing_is_kept_where_the_user_says_so(place):
    jax.config.update("jax_enable_compilation_cache", False)
    scores(109)
    compiled.keep_compiled()
    assert jax.config.jax_compilation_cache_dir is None  # type: ignore[attr-defined]
    assert not place.exists()


def test_a_folder_that_cannot_be_written_is_left_alone(place, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    before = configuration()
    assert scores(113)["linear_probe"].ok
    assert configuration() == before
    assert list(place.iterdir()) == []


def test_the_oldest_go_where_there_are_too_many(place, monkeypatch):
    place.mkdir(parents=True)
    for age in range(4):
        path = place / f"{age} days"
        path.write_bytes(bytes(10))
        os.utime(path, (1e9 - 86400 * age, 1e9 - 86400 * age))
    monkeypatch.setattr(compiled, "MOST_BYTES", 25)
    with compiled.compiled_code_kept:
        assert sorted(path.name for path in place.iterdir()) == ["0 days", "1 days"]


def test_the_shell_keeps_all(place):
    compiled.keep_compiled()
    assert jax.config.jax_compilation_cache_dir == str(place)  # type: ignore[attr-defined]
