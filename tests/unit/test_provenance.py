"""Code digests change when results can change, and only then."""

from pathlib import Path

import pytest

from foley.provenance import code_digest, config_digest, source_files


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A little package: a imports b, c stands alone."""
    folder = tmp_path / "foley"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Package."""\n')
    (folder / "a.py").write_text(
        '"""A."""\nfrom foley.b import helper\n\n\ndef f():\n    return helper() + 1\n'
    )
    (folder / "b.py").write_text('"""B."""\n\n\ndef helper():\n    """Help."""\n    return 1\n')
    (folder / "c.py").write_text("def alone():\n    return 3\n")
    (folder / "registry.py").write_text("from foley import c\n")
    return tmp_path


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_imports_are_followed(package: Path) -> None:
    assert set(source_files(["foley.a"], package)) == {"foley", "foley.a", "foley.b"} - {"foley"}


def test_an_edit_in_an_imported_module_changes_the_digest(package: Path) -> None:
    before = code_digest(["foley.a"], package)
    rewrite(package / "foley/b.py", "return 1", "return 2")
    assert code_digest(["foley.a"], package) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Help."""', '"""Help, differently."""'),
        ('"""B."""\n', '"""B, at length."""\n\n'),
        ("    return 1", "    # why not\n    return  1"),
    ],
)
def test_docstrings_comments_and_spaces_do_not_count(package: Path, old: str, new: str) -> None:
    before = code_digest(["foley.a"], package)
    rewrite(package / "foley/b.py", old, new)
    assert code_digest(["foley.a"], package) == before


def test_an_edit_elsewhere_changes_nothing(package: Path) -> None:
    before = code_digest(["foley.a"], package)
    rewrite(package / "foley/c.py", "3", "4")
    assert code_digest(["foley.a"], package) == before


def test_the_registry_is_not_followed(package: Path) -> None:
    rewrite(package / "foley/a.py", "from foley.b import helper", "from foley import registry\nhelper = int")
    assert "foley.c" not in source_files(["foley.a"], package)


def test_the_order_of_keys_does_not_count() -> None:
    assert config_digest({"a": 1, "b": {"c": 2, "d": 3}}) == config_digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert config_digest({"a": 1}) != config_digest({"a": 2})
