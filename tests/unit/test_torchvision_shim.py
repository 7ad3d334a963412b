"""The torchvision shim: steps in only for the one failure it is for."""

import subprocess
import sys
from types import ModuleType

import pytest

from foley.features import torchvision_shim


def test_networks_build_whether_or_not_the_extension_loads():
    code = (
        "import torch\n"
        "from foley.features.torchvision_shim import torchvision_models\n"
        "network = torchvision_models().resnet18(weights=None).eval()\n"
        "assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_declared_when_the_import_works(monkeypatch):
    monkeypatch.setattr(torchvision_shim, "declare_missing_operators", lambda: pytest.fail("declared"))
    module = ModuleType("torchvision.models")
    assert torchvision_shim.torchvision_models(lambda name: module) is module


def test_missing_operators_are_declared_once_and_the_import_is_tried_again(monkeypatch):
    calls = []
    module = ModuleType("torchvision.models")

    def importer(name):
        calls.append(name)
        if len(calls) == 1:
            raise RuntimeError("operator torchvision::nms does not exist")
        return module

    monkeypatch.setattr(torchvision_shim, "declare_missing_operators", lambda: calls.append("declared"))
    assert torchvision_shim.torchvision_models(importer) is module
    assert calls == ["torchvision.models", "declared", "torchvision.models"]


@pytest.mark.parametrize("error", [RuntimeError("CUDA is broken"), ImportError("no torchvision")])
def test_other_failures_are_not_hidden(error, monkeypatch):
    monkeypatch.setattr(torchvision_shim, "declare_missing_operators", lambda: pytest.fail("declared"))

    def importer(name):
        raise error

    with pytest.raises(type(error), match=str(error)):
        torchvision_shim.torchvision_models(importer)
