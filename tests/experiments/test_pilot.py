"""The pilot's page is what its command makes of the records that are there."""

import pytest

from experiments.study.pilot.__main__ import HERE, make_page

pytestmark = pytest.mark.slow


def test_the_page_is_made_from_the_records(tmp_path):
    (tmp_path / "conclusion.md").write_text((HERE / "conclusion.md").read_text())
    make_page(tmp_path)
    assert (tmp_path / "README.md").read_text() == (HERE / "README.md").read_text()
    assert (tmp_path / "gain.png").stat().st_size > 10_000
