"""Compiled functions of a long study leave memory, and are compiled again when they are needed."""

import sys

import jax
import jax.numpy as jnp
import pytest

from featalign.study.compiled import MAPS, forget_compiled


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no list of mapped areas")
def test_they_go_at_the_limit_and_not_before():
    traced = []

    @jax.jit
    def double(value):
        traced.append(1)
        return 2 * value

    def compiled(length):
        return float(double(jnp.ones(length)).sum())

    assert compiled(3) == 6
    assert not forget_compiled()
    assert compiled(3) == 6
    assert len(traced) == 1
    assert forget_compiled(most=0)
    assert compiled(3) == 6
    assert len(traced) == 2


def test_a_system_without_the_list_does_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("featalign.study.compiled.MAPS", tmp_path / "none")
    assert not forget_compiled(most=0)
    assert MAPS.name == "maps"
