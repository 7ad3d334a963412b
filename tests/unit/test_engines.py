"""Engines: folding, half precision, eight bits, batches found by measuring, GPUs claimed."""

import importlib.util
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

from foley import registry
from foley.errors import ConfigError
from foley.features.backbones.base import PooledNetwork
from foley.features.engines import batching, by_torch
from foley.features.engines.devices import device_for_job
from foley.features.visual import BackboneConfig, load_backbone

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is optional"
)


def small_network(seed=0):
    """Convolutions with trained-looking normalisations, as a backbone."""
    torch.manual_seed(seed)
    trunk = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(24),  # does not follow a convolution: stays
        nn.Conv2d(24, 32, 1),
        nn.BatchNorm2d(32),
    )
    for module in trunk:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return PooledNetwork(trunk, (120.0, 120.0, 120.0), (60.0, 60.0, 60.0)).eval()


def shown(n=4, side_px=32, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, side_px, side_px, 3), dtype=np.uint8)


def reference(network, pictures):
    with torch.inference_mode():
        return network(torch.from_numpy(pictures)).numpy()


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_folding_keeps_the_numbers_and_leaves_the_network_alone():
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    expected = reference(network, shown())
    folded = by_torch.fold_batch_norms(network, 32)
    norms = [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 1, "those behind a convolution are gone, the one behind a ReLU is not"
    np.testing.assert_allclose(reference(folded, shown()), expected, rtol=1e-4, atol=1e-5)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50"])
def test_every_normalisation_of_a_backbone_is_folded(name):
    config = BackboneConfig(
        network=name, weights="random" if name == "resnet50" else None, input_px=64, engine="torch"
    )
    network = registry.load("backbones", name).build(config)
    folded = by_torch.fold_batch_norms(network, 64)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    np.testing.assert_allclose(
        reference(folded, shown(2, 64)), reference(network, shown(2, 64)), rtol=2e-3, atol=1e-3
    )


def test_half_precision_agrees_with_float32():
    network = small_network()
    expected = reference(network, shown())
    run = by_torch.prepare(network, side_px=32, precision="bfloat16", device="cpu")(4)
    found = run(shown())
    assert found.dtype == np.float32
    assert cosine(found, expected).min() > 0.999
    assert not np.array_equal(found, expected), "bfloat16 was not used"


def test_torch_refuses_what_it_cannot_compute():
    with pytest.raises(ConfigError, match="engine: openvino"):
        by_torch.prepare(small_network(), side_px=32, precision="int8", device="cpu")


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_features():
    network = small_network()
    run = by_torch.prepare(network, side_px=32, precision="float32", device="cpu", compiled=True)(4)
    np.testing.assert_allclose(run(shown()), reference(network, shown()), rtol=1e-3, atol=1e-4)


@needs_openvino
def test_eight_bits_are_close_and_repeatable():
    from foley.features.engines import by_openvino

    network = small_network()
    runs = [by_openvino.prepare(network, side_px=32, precision="int8")(4) for _ in range(2)]
    found, again = (run(shown()) for run in runs)
    expected = reference(network, shown())
    np.testing.assert_array_equal(found, again)
    assert cosine(found, expected).min() > 0.98
    assert np.abs(found - expected).max() > 1e-4, "nothing was rounded"


@needs_openvino
def test_precision_that_the_cpu_lacks_is_refused_and_auto_is_one_it_has():
    import openvino

    from foley.features.engines import by_openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (by_openvino.best_precision() == "bfloat16") == ("BF16" in able)
    if "BF16" not in able:
        with pytest.raises(ConfigError, match="set precision: auto"):
            by_openvino.prepare(small_network(), side_px=32, precision="bfloat16")


def test_calibration_pictures_are_always_the_same_and_look_like_pictures():
    pytest.importorskip("openvino")
    from foley.features.engines.int8 import calibration_pictures

    drawn = calibration_pictures(64, 4)
    np.testing.assert_array_equal(drawn, calibration_pictures(64, 4))
    assert drawn.shape == (4, 64, 64, 3)
    assert (drawn.std(axis=(1, 2, 3)) > 20).all()
    neighbours = np.abs(np.diff(drawn[0].astype(float), axis=1)).mean()
    strangers = np.abs(drawn[0].astype(float) - drawn[2].astype(float)).mean()
    assert neighbours < strangers / 2, "neighbouring pixels are alike"


def test_batches_grow_while_they_pay_and_fit():
    speeds = {1: 10.0, 2: 20.0, 4: 30.0, 8: 30.0, 16: 30.0, 32: 60.0}
    assert batching.find_batch_size(speeds.get, 1024) == 4
    assert batching.find_batch_size({1: 10.0, 2: 20.0}.get, 1024) == 2, "None: out of memory"
    assert batching.find_batch_size(speeds.get, 3) == 2
    assert batching.find_batch_size(lambda size: 5.0, 1024) == 1


def test_memory_bounds_the_batch(monkeypatch):
    network = small_network()
    each = batching.activation_bytes(network, (32, 32, 3))
    assert each == 4 * 32 * 32 * (16 + 16 + 16 + 24 + 24 + 24 + 32 + 32)
    monkeypatch.setattr(batching, "free_bytes", lambda device: 40 * each)
    assert batching.largest_batch(network, (32, 32, 3), "cpu") == 10
    monkeypatch.setattr(batching, "free_bytes", lambda device: 0)
    assert batching.largest_batch(network, (32, 32, 3), "cpu") == 1


def test_an_automatic_batch_gives_the_features_of_a_fixed_one():
    config = {"network": "efficientnet_lite0", "input_px": 32, "engine": "torch"}
    found = load_backbone(BackboneConfig(**config, batch_size="auto"))
    assert found.batch_size >= 1
    fixed = load_backbone(BackboneConfig(**config, batch_size=3))
    np.testing.assert_allclose(found(shown(7)), fixed(shown(7)), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("size", [0, -3, "many"])
def test_impossible_batches_are_refused(size):
    with pytest.raises(ValueError, match="batch_size"):
        BackboneConfig(network="vgg16", batch_size=size)


def test_one_first_frame_is_not_padded():
    config = BackboneConfig(
        network="efficientnet_lite0", input_px=32, engine="torch", first_frame=True, batch_size=64
    )
    assert load_backbone(config).batch_size == 1


def test_a_missing_gpu_is_named():
    with pytest.raises(ConfigError, match=r"'cuda:3' is not there \(2 GPUs found\)"):
        device_for_job("cuda:3", lambda: 2)
    with pytest.raises(ConfigError, match="set device: cpu"):
        device_for_job("cuda", lambda: 0)
    with pytest.raises(ConfigError, match="'tpu'"):
        device_for_job("tpu", lambda: 2)
    assert device_for_job("cuda:1", lambda: 2) == "cuda:1"
    assert device_for_job("cpu", lambda: 0) == "cpu"


CLAIM = """
import sys
from foley.features.engines.devices import device_for_job
print(device_for_job("cuda", lambda: 2), flush=True)
sys.stdin.read()
"""


def test_jobs_side_by_side_are_spread_over_the_gpus(tmp_path):
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    taken = sorted(job.stdout.readline().strip() for job in jobs)
    for job in jobs:
        job.communicate()
        assert job.returncode == 0
    assert taken == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"], "small jobs share both GPUs evenly"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_gives_the_features_of_the_cpu(precision):
    config = {"network": "resnet50", "weights": "random", "input_px": 64, "batch_size": 4, "engine": "torch"}
    on_gpu = load_backbone(BackboneConfig(**config, precision=precision), "cuda")(shown(7, 64))
    on_cpu = load_backbone(BackboneConfig(**config))(shown(7, 64))
    assert cosine(on_gpu, on_cpu).min() > 0.9999


@needs_openvino
def test_openvino_nails_no_process_to_a_core():
    """While it computes: jobs that run side by side would all sit on the first one."""
    config = BackboneConfig(network="efficientnet_lite0", weights="random", input_px=96, batch_size=4)
    backbone = load_backbone(config, n_threads=1)
    worker, allowed, done = threading.get_native_id(), os.sched_getaffinity(0), threading.Event()
    seen = set()

    def watch():
        while not done.is_set():
            seen.add(frozenset(os.sched_getaffinity(worker)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        backbone.run(np.zeros((4, 96, 96, 3), np.uint8))
    done.set()
    watcher.join()
    assert seen == {frozenset(allowed)}
