"""Import torchvision's networks where its compiled extension does not load.

Beside a CPU-only build of torch, torchvision's extension cannot be loaded, and the package then
fails on import because two operators are missing (``operator torchvision::nms does not exist``).
The networks do not need them: declaring their signatures is enough. This is done only after a
plain import failed in exactly that way, and nowhere else.
"""

import importlib
from collections.abc import Callable
from functools import cache
from types import ModuleType

import torch

_MISSING = "torchvision::"
_SIGNATURES = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def torchvision_models(importer: Callable[[str], ModuleType] = importlib.import_module) -> ModuleType:
    """Import ``torchvision.models``, declaring the missing operators when that is what it needs.

    Parameters
    ----------
    importer : callable
        Imports a module by name.

    Returns
    -------
    module
        ``torchvision.models``. Its networks work; where the operators were declared, detection
        networks and ``torchvision.ops.nms`` do not.

    Raises
    ------
    RuntimeError, ImportError
        Whatever torchvision raises for any other reason.
    """
    try:
        return importer("torchvision.models")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    declare_missing_operators()
    return importer("torchvision.models")


@cache
def declare_missing_operators() -> torch.library.Library:
    """Declare ``torchvision::nms`` and ``qnms`` without an implementation, once.

    Returns
    -------
    torch.library.Library
        Holds the declarations; they vanish with it, hence the cache.
    """
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for signature in _SIGNATURES:
        library.define(signature)  # type: ignore[no-untyped-call]
    return library
