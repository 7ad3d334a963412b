"""How near the image networks come to what the processor can do: ``python -m benchmarks.roofline``.

The roof is a large matrix product of the same precision on the same device, measured in the same run.
Operations of a network are counted from its layers (two for each multiplication with addition), and
those of batch normalisations and activations are left out, as they are in the literature.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.measure import fastest, machine, matmul_flops, table
from foley import registry
from foley.features.engines import Precision, by_torch
from foley.features.visual import BackboneConfig, load_backbone

NETWORKS = {"resnet50": "random", "efficientnet_lite0": None, "vgg19": "random"}


def network_flops(network: nn.Module, side_px: int) -> int:
    """Floating-point operations of one picture's convolutions and linear layers.

    Examples
    --------
    >>> from foley.features.backbones.base import PooledNetwork
    >>> network = PooledNetwork(nn.Conv2d(3, 8, 3, padding=1), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    >>> network_flops(network, 10) == 2 * 10 * 10 * 8 * 3 * 9
    True
    """
    total = 0

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += 2 * output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += 2 * output.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.inference_mode():
        network(torch.zeros((1, side_px, side_px, 3), dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return total


def pictures_per_s(config: BackboneConfig, device: str, n_threads: int, repeats: int) -> tuple[float, str]:
    """Speed of a backbone over the processor's own time on a CPU, over the clock on a GPU; its settings."""
    backbone = load_backbone(config, device, n_threads=n_threads)
    shape = (backbone.batch_size, config.input_px, config.input_px, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seconds = timed(lambda: backbone.run(pictures), device, n_threads, repeats)
    return backbone.batch_size / seconds, f"{backbone.engine}, batch {backbone.batch_size}"


def timed(function: Callable[[], Any], device: str, n_threads: int, repeats: int) -> float:
    """Shortest time of a call: CPU time shared out over the threads, or wall clock on a GPU."""
    if device == "cpu":
        return fastest(function, repeats) / n_threads
    import time

    return fastest(function, repeats, time.perf_counter)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the share of the roof of each network, engine and precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["resnet50", "efficientnet_lite0"], choices=NETWORKS)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", default="auto", help="pictures at a time, or auto")
    parser.add_argument("--side", type=int, default=224, help="side of the pictures, pixels")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    batch = options.batch if options.batch == "auto" else int(options.batch)

    precisions: list[Precision] = ["float32"]
    best = best_precision(options.device)
    if best != "float32":
        precisions.append(best)
    roofs: dict[str, float] = {
        precision: matmul_flops(precision, device=options.device, n_threads=options.threads)
        for precision in precisions
    }
    engines = ["torch"] if options.device != "cpu" else ["torch", "openvino"]
    rows: list[list[str | float]] = [
        ["matrix product", precision, "-", "-", roof / 1e9, "100 %"] for precision, roof in roofs.items()
    ]
    for name in options.networks:
        config = BackboneConfig(network=name, weights=NETWORKS[name], input_px=options.side, batch_size=batch)
        network = registry.load("backbones", name).build(config)
        flops = network_flops(network, options.side)
        if options.device == "cpu":
            torch.set_num_threads(options.threads)
            picture = torch.zeros((1, options.side, options.side, 3), dtype=torch.uint8)
            with torch.inference_mode():
                rate = 1 / timed(lambda: network(picture), "cpu", options.threads, options.repeats)  # noqa: B023
            rows.append(_row(name, "float32", "eager, batch 1", rate, flops, roofs["float32"]))
        for engine in engines:
            for precision in [*precisions, *(["int8"] if engine == "openvino" else [])]:
                tried = config.model_copy(update={"engine": engine, "precision": precision})
                rate, how = pictures_per_s(tried, options.device, options.threads, options.repeats)
                rows.append(_row(name, precision, how, rate, flops, roofs.get(precision, 0.0)))
    print(machine())
    print(f"{options.device}, {options.threads} threads, {options.side} px\n")
    print(table(["network", "precision", "engine", "pictures/s", "GFLOP/s", "of the roof"], rows))


def best_precision(device: str) -> Precision:
    """Half precision where the device has it."""
    if device != "cpu":
        return by_torch.best_precision(device)
    from foley.features.engines import by_openvino

    return by_openvino.best_precision()


def _row(name: str, precision: str, how: str, rate: float, flops: int, roof: float) -> list[str | float]:
    share = f"{100 * rate * flops / roof:.0f} %" if roof else "-"
    return [name, precision, how, rate, rate * flops / 1e9, share]


if __name__ == "__main__":
    main()
