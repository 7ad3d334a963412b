"""Which module stages which class."""

from importlib import import_module

from foley.datasets.procedural.config import canonical_label
from foley.datasets.procedural.performance import Staging

_MODULES = {"break": "break_", "typing": "typing_"}


def staging_of(label: str) -> Staging:
    """Give the function that stages a performance of class `label`."""
    name = canonical_label(label)
    module = import_module(f"foley.datasets.procedural.classes.{_MODULES.get(name, name)}")
    staging: Staging = module.stage
    return staging
