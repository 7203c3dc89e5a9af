"""What the sources that run in torch share."""

import pytest

from featalign.sources.torch.models import fresh_revision

torch = pytest.importorskip("torch", reason="needs featalign[hf]")


def test_fresh_weights_are_known_by_seed_releases_and_the_type_they_are_drawn_in():
    usual = fresh_revision(1, "numpy")
    assert usual.startswith("fresh weights 1, numpy ")
    assert "float" not in usual
    assert usual != fresh_revision(2, "numpy")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert fresh_revision(1, "numpy") == f"{usual}, torch.float64"
    finally:
        torch.set_default_dtype(before)
    assert fresh_revision(1, "numpy") == usual
