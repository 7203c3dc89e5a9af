"""The shipped notebooks: each runs from its first cell to its last, and its outputs are kept."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
RENEW = os.environ.get("FEATALIGN_RENEW_EXAMPLES")  # writes the outputs anew


def cells_of(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def kinds(cells):
    """What kinds of output each cell has."""
    return [
        sorted({kind for output in cell["outputs"] for kind in output.get("data", ["text"])})
        for cell in cells
    ]


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["images", "texts"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_committed_and_small(path):
    cells = cells_of(path)
    assert all(cell["execution_count"] for cell in cells)
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
    shown = [output for cell in cells for output in cell["outputs"]]
    data = [output.get("data", {}) for output in shown]
    pages = ["".join(each["text/html"]) for each in data if "text/html" in each]
    assert any('class="featalign"' in page for page in pages)
    assert path.stat().st_size < 300_000
    assert str(ROOT) not in path.read_text(), "no paths of a machine are kept"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_what_was_committed(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.chdir(tmp_path)
    before = kinds(cells_of(path))
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources=place,
    )
    client.execute()
    if RENEW:
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times of a machine
        nbformat.write(notebook, path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert RENEW or kinds(code) == before
