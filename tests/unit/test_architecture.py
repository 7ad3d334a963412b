"""The layers of the house: who may import whom."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"errors", "forking", "logs", "seeds", "provenance"},
    {"store", "media"},
    {"models", "features", "preprocess"},
    {"training", "synthesis", "metrics", "report", "datasets"},
    {"config", "registry", "needs", "settings"},
    {"cli"},
]
ANYWHERE = {"registry"}
"""Importable from every layer: it imports by name, when asked."""
LEVEL = {name: number for number, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> set[str]:
    """Every module name that a source file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def part(module: str) -> str | None:
    """The part of the package that a module name belongs to."""
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "foley" and len(pieces) > 1 else None


SOURCES = sorted((ROOT / "foley").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_layer_or_below(path: Path) -> None:
    own = path.relative_to(ROOT / "foley").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for module in imports(path):
        assert module.split(".")[0] != "snakemake", f"{path} imports Snakemake"
        other = part(module)
        if other is None or other in ANYWHERE:
            continue
        assert LEVEL[other] <= LEVEL[own], f"{path}: {own} must not import {module}"
        if own == "metrics":
            assert other != "models", f"{path}: a metric must not import a model"


def test_every_rule_has_its_script_and_every_script_its_rule() -> None:
    rules = set()
    for path in (ROOT / "rules").glob("*.smk"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("rule "):
                rules.add(line.removeprefix("rule ").rstrip(":"))
            elif named := re.match(r'\s+f"(\w+)_\{\w+\}"$', line):  # one of a family made in a loop
                rules.add(named[1])
    scripts = {path.stem for path in (ROOT / "workflow_scripts").glob("*.py")}
    assert rules == scripts


@pytest.mark.parametrize("path", sorted((ROOT / "workflow_scripts").glob("*.py")), ids=lambda path: path.stem)
def test_a_workflow_script_is_thin(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    tree = ast.parse(text)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert {name.split(".")[0] for name in imports(path)} <= {"foley", "typing", "snakemake"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_librosa_is_loaded_by_one_process_at_a_time(path: Path) -> None:
    found = {name for name in imports(path) if name.split(".")[0] == "librosa"}
    assert not found, "import librosa from foley.features.librosa_shim, which says why"
