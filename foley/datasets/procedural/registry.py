"""Which module stages which class."""

from foley.datasets.procedural.classes import (
    break_,
    car,
    clock,
    cutting,
    fire,
    footstep,
    gunshot,
    horse,
    rain,
    thunder,
    typing_,
    waterfall,
)
from foley.datasets.procedural.config import canonical_label
from foley.datasets.procedural.performance import Staging

# Imported by name, not found at run time: code digests follow the import statements.
_STAGINGS: dict[str, Staging] = {
    "break": break_.stage,
    "car": car.stage,
    "clock": clock.stage,
    "cutting": cutting.stage,
    "fire": fire.stage,
    "footstep": footstep.stage,
    "gunshot": gunshot.stage,
    "horse": horse.stage,
    "rain": rain.stage,
    "thunder": thunder.stage,
    "typing": typing_.stage,
    "waterfall": waterfall.stage,
}


def staging_of(label: str) -> Staging:
    """Give the function that stages a performance of class `label`.

    Raises
    ------
    ValueError
        If there is no such class; names all that exist.
    """
    return _STAGINGS[canonical_label(label)]
