"""What is installed: one import name, `archsearch`, with every file of the four folders in it."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("spaces", "searchers", "elastic")
FOLDERS = ("archsearch", *PARTS)


def unlisted(root: Path) -> list[str]:
    """Folders with an __init__.py that pyproject.toml does not list: the wheel would lack them without a word."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed = {package: settings["package-dir"][package] for package in settings["packages"]}
    folders = [
        path.parent.relative_to(root).as_posix() for folder in FOLDERS for path in (root / folder).rglob("__init__.py")
    ]
    # rglob may go through the links, which is another path to a listed folder.
    through_links = {f"archsearch/{part}" for part in PARTS}
    return sorted(set(folders) - set(listed.values()) - through_links)


def test_every_package_is_listed() -> None:
    assert unlisted(ROOT) == []


def test_a_forgotten_package_is_noticed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in (*FOLDERS, "spaces/cells"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    assert unlisted(tmp_path) == ["spaces/cells"]


@pytest.mark.parametrize("part", PARTS)
def test_links_point_at_the_parts(part: str) -> None:
    link = ROOT / "archsearch" / part
    assert link.is_symlink(), f"{link} is not a link; make it with: ln -s ../{part} archsearch/{part}"
    assert os.readlink(link) == f"../{part}"
    assert (link / "__init__.py").is_file()


def test_constraints_pin_what_is_asked_for() -> None:
    """Every dependency has an exact version, without a local label, that its own bound allows."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for pin in (Requirement(line) for line in lines if line and not line.startswith("#")):
        (only,) = pin.specifier
        assert only.operator == "==", pin
        assert "+" not in only.version, pin
        pins[canonicalize_name(pin.name)] = only.version
    lists = [settings["dependencies"], *settings["optional-dependencies"].values()]
    for requirement in (Requirement(line) for each in lists for line in each):
        if requirement.name != "archsearch":
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def undeclared(root: Path) -> list[str]:
    """Imports of packages that pyproject.toml does not ask for: another package may cease to bring them."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["pandas"], *extras["hf"]]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    declared.add(canonicalize_name("pydantic_core"))  # pydantic pins its exact version, and documents imports from it
    distributions = importlib.metadata.packages_distributions()
    found = []
    for path in sorted(path for folder in FOLDERS for path in (root / folder).glob("*.py")):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = [
            name
            for node in tree
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        ]
        for top in sorted({name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"archsearch"}):
            if declared.isdisjoint(canonicalize_name(name) for name in distributions.get(top, [top])):
                found.append(f"{path.relative_to(root)}: {top}")
    return found


def test_what_is_imported_is_declared() -> None:
    assert undeclared(ROOT) == []


def test_an_undeclared_import_is_noticed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "spaces" / "x.py").write_text("import json, torch.nn\ndef f():\n    from jinja2 import Template\n")
    (tmp_path / "archsearch" / "y.py").write_text("import yaml, nosuchpackage\nimport archsearch.errors\n")
    assert undeclared(tmp_path) == ["archsearch/y.py: nosuchpackage", "spaces/x.py: jinja2"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout so that nothing left over from another build gets in."""
    copy = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=ignore)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    out = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir"]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


def test_the_wheel_has_every_file_at_its_place(wheel: Path) -> None:
    expected = set()
    for folder in FOLDERS:
        place = "archsearch" if folder == "archsearch" else f"archsearch/{folder}"
        files = [path for path in (ROOT / folder).iterdir() if path.is_file() and path.suffix != ".md"]
        expected |= {f"{place}/{path.name}" for path in files}
    assert "archsearch/py.typed" in expected
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == expected
    information = {name.split(".dist-info/")[1] for name in names if ".dist-info/" in name}
    assert information == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "top_level.txt",
    }


def test_the_wheel_brings_one_import_name(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, it is what is imported there, its parts included, and nothing bare comes with it."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    check = (
        "import importlib.util, pathlib, archsearch, archsearch.spaces.nodes as nodes\n"
        "site = pathlib.Path(archsearch.__file__).parent\n"
        "assert pathlib.Path(nodes.__file__).parent.parent == site\n"
        "assert archsearch.Choice is nodes.Choice\n"
        "assert not [n for n in ('spaces', 'searchers', 'elastic') if importlib.util.find_spec(n)]\n"
        "print(site)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-P", "-c", check]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == tmp_path / "site" / "archsearch"


def test_bare_names_fail_a_run(tmp_path: Path) -> None:
    """The check in conftest.py can fail."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_x.py").write_text("import sys\ndef test_x(): sys.modules['spaces'] = sys\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "imported without `archsearch.`: spaces" in done.stdout
