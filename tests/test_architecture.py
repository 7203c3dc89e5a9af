"""The arrows between the parts of the package, and what importing it loads.

The arrows are read from the syntax tree.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import featalign

PACKAGE = Path(featalign.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

# each room and the rooms below it that it may import; a room may always import itself
HALL = {"arrays", "checks", "errors", "log", "metrics", "nearest", "strata", "wilson"}
FLOOR = HALL | {"records"}
NUMBERS = ("statistics", "scorers", "distances", "forecasting")
WORLD = ("targets", "sources", "embeddings", "training")
ALLOWED = {
    "errors": set(),
    "nearest": set(),
    "checks": {"errors", "nearest"},
    "arrays": {"errors", "nearest"},
    "metrics": {"arrays", "errors", "nearest"},
    "strata": {"checks"},
    "wilson": set(),
    "log": set(),
    "progress": {"log"},
    "records": HALL,
    "statistics": HALL,
    "scorers": FLOOR | {"statistics"},
    "distances": FLOOR | {"statistics"},
    "forecasting": FLOOR | {"statistics", "scorers", "distances"},
    "targets": HALL,
    "sources": HALL | {"targets"},
    "embeddings": FLOOR | {"targets", "sources", "progress"},
    "training": FLOOR | {"targets", "sources", "progress"},
    "session": {"embeddings", "progress"},
    "jobs": FLOOR | set(NUMBERS) | set(WORLD) | {"session", "progress"},
    "engines": {"checks", "errors", "log", "session"},
    "screening": {"forecasting", "records"},
    "api": FLOOR | set(NUMBERS) | set(WORLD) | {"jobs", "engines", "screening", "progress"},
    "study": FLOOR | set(NUMBERS) | set(WORLD) | {"jobs", "api", "progress"},
    "views": FLOOR | set(NUMBERS) | {"embeddings", "study"},
}
# the shell opens onto everything, but for what its verbs share
SHARED_BY_VERBS = {
    "cli/options.py": {"metrics", "targets"},
    "cli/context.py": {"embeddings", "jobs", "views"},
}
# a record shows itself as the shell shows it: the arrows that point up, inside methods
UPWARD = {"records/ranking.py": {"views"}, "records/shown.py": {"views"}}
# outside packages that only these rooms or files may import
OUTSIDE = {
    "h5py": ("embeddings/",),
    "flax": ("sources/", "training/"),
    "optax": ("sources/", "training/"),
    "torch": ("sources/", "training/torch_"),
    **dict.fromkeys(("transformers", "timm", "sentence_transformers", "peft"), ("sources/torch/",)),
    **dict.fromkeys(("rich", "jinja2", "markupsafe"), ("views/", "cli/context.py", "progress.py")),
    **dict.fromkeys(("keras", "onnx", "onnxruntime"), ("sources/",)),
}
WITHOUT_JAX = HALL | {"targets", "embeddings", "records", "session", "engines", "progress"}


def imports(path: Path) -> set[str]:
    """Dotted names of the modules a file imports, also inside functions.

    Those for type checkers alone left out.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        ):
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return relative(path).split("/")[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("featalign.")} - {
        room(path)
    }


def test_the_syntax_tree_is_read_rightly():
    assert rooms_imported(PACKAGE / "scorers" / "cka.py") == {
        "arrays",
        "errors",
        "records",
        "statistics",
    }
    assert "optax" in {name.split(".")[0] for name in imports(PACKAGE / "training" / "jax_step.py")}
    assert imports(PACKAGE / "__init__.py") == {
        "importlib.import_module",
        "typing.TYPE_CHECKING",
        "typing.Any",
    }


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_point_down(path):
    allowed = ALLOWED.get(room(path))
    if allowed is not None:
        assert rooms_imported(path) <= allowed | UPWARD.get(relative(path), set())


def test_the_wings_never_import_each_other():
    """Implied by the table above, and here checked of the table: everything a room can reach."""
    for wing, other in ((NUMBERS, WORLD), (WORLD, NUMBERS)):
        for start in wing:
            reached = {start}
            while more := set().union(*(ALLOWED[name] for name in reached)) - reached:
                reached |= more
            assert not reached & set(other)


@pytest.mark.parametrize("package", OUTSIDE)
def test_outside_packages_stay_in_their_rooms(package):
    users = [
        relative(path)
        for path in FILES
        if package in {name.split(".")[0] for name in imports(path)}
    ]
    assert [user for user in users if not user.startswith(OUTSIDE[package])] == []


def test_rooms_without_jax():
    users = [
        path
        for path in FILES
        if room(path) in WITHOUT_JAX and "jax" in {name.split(".")[0] for name in imports(path)}
    ]
    assert users == []


def test_what_is_trained_knows_no_framework():
    """In training, the files of a framework are named after it, and one other file opens them."""
    frameworks = {"jax", "flax", "optax", "torch"}
    opened = {}
    for path in (PACKAGE / "training").glob("*.py"):
        if not path.name.startswith(("jax_", "torch_")):
            found = imports(path)
            assert not {name.split(".")[0] for name in found} & frameworks, path.name
            for name in found:
                if name.startswith(("featalign.training.jax_", "featalign.training.torch_")):
                    opened.setdefault(path.name, set()).add(name)
    trainers = {"featalign.training.jax_trainer", "featalign.training.torch_trainer"}
    assert opened == {"frameworks.py": trainers}


def test_every_room_but_the_doors_has_its_arrows():
    """The shell opens onto everything; what else there is must say what it may import."""
    doors = {"__init__", "__main__", "cli"}
    assert {room(path) for path in FILES} - doors <= set(ALLOWED)


@pytest.mark.parametrize("name", SHARED_BY_VERBS)
def test_what_verbs_share_opens_onto_little(name):
    assert rooms_imported(PACKAGE / name) <= SHARED_BY_VERBS[name]


def test_nothing_below_the_hall_reaches_it():
    """Nothing below the hall reaches the hall or what stands on it.

    No room that both wings or the jobs can reach leads back up.
    """
    for start in (*NUMBERS, *WORLD, "records", "progress", "session", "jobs", "screening"):
        reached = {start}
        while more := set().union(*(ALLOWED[name] for name in reached)) - reached:
            reached |= more
        assert not reached & {"api", "study", "views", "cli"}, start


def test_engines_are_imported_by_the_api_alone():
    assert {relative(path) for path in FILES if "engines" in rooms_imported(path)} <= {"api.py"}


def test_public_names_and_their_homes_agree():
    assert set(featalign.__all__) == set(featalign._HOMES)
    for name in featalign.__all__:
        assert getattr(featalign, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = featalign.nothing


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_file_has_a_docstring_and_an_end(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= MAX_LINES


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    loaded = run(
        "import sys, featalign; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ).split()
    assert "featalign" in loaded
    assert not set(loaded) & {
        "jax",
        "numpy",
        "scipy",
        "sklearn",
        "flax",
        "optax",
        "h5py",
        "PIL",
        "matplotlib",
        "jinja2",
        "pandas",
        "rich",
        "typer",
        "torch",
    }


def test_importing_the_api_leaves_the_precision_as_it_was():
    code = (
        "import jax; {}; before = jax.config.jax_enable_x64; import featalign.api; "
        "print(before, jax.config.jax_enable_x64)"
    )
    assert run(code.format("pass")) == "False False"
    assert run(code.format("jax.config.update('jax_enable_x64', True)")) == "True True"
