"""Image networks on PyTorch: channels last, batch normalisation folded, half precision, CUDA graphs."""

import copy
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from foley.errors import ConfigError
from foley.features.engines import Precision, Run

logger = logging.getLogger(__name__)

Forward = Callable[[torch.Tensor], torch.Tensor]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_N_WARM_UP = 3


def prepare(
    network: nn.Module,
    *,
    side_px: int,
    precision: Precision,
    device: str,
    n_channels: int = 3,
    n_threads: int = 1,
    compiled: bool = False,
) -> Callable[[int], Run]:
    """Make a network ready to run.

    Parameters
    ----------
    network : nn.Module
        From uint8 (batch, px, px, n_channels) to (batch, dim), with its convolutions in ``trunk``.
    side_px, n_channels : int
        Of the pictures: RGB has 3 channels, optical flow 2.
    precision : str
        What convolutions compute in; the mean over the picture is always float32.
    device : str
        ``cpu`` or ``cuda:<index>``.
    n_threads : int
        Threads on the CPU, for the whole process.
    compiled : bool
        Let torch.compile generate code: slow to start (ten seconds and more), sometimes faster.

    Returns
    -------
    callable
        From a batch size to the function that runs such batches. On a GPU each is one CUDA graph.

    Raises
    ------
    ConfigError
        If the engine does not know the precision.
    """
    if precision not in _DTYPES:
        raise ConfigError(f"engine torch does not compute in {precision}; set engine: openvino")
    if device == "cpu":
        torch.set_num_threads(n_threads)
    with torch.inference_mode():
        network = fold_batch_norms(network, side_px, n_channels)
        network = network.to(device)
        network.get_submodule("trunk").to(dtype=_DTYPES[precision], memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward: Forward = _compile(network, device) if compiled else network

    def with_batch(batch_size: int) -> Run:
        shape = (batch_size, side_px, side_px, n_channels)
        call = forward if device == "cpu" or compiled else _captured(network, shape, device)

        def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.inference_mode():
                features = call(torch.from_numpy(pictures).to(device))
                return np.asarray(features.float().cpu().numpy())

        return run

    return with_batch


def best_precision(device: str) -> Precision:
    """Fastest precision whose features agree with float32: half precision where hardware has it."""
    if device != "cpu":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else "float32"


def fold_batch_norms(network: nn.Module, side_px: int, n_channels: int = 3) -> nn.Module:
    """Fold each batch normalisation into the convolution whose output it takes.

    Pairs are found by running one picture: a convolution's output that is, as an object, the input
    of a normalisation belongs to nothing else in the networks that are used here.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    side_px, n_channels : int
        Of the picture to try.

    Returns
    -------
    nn.Module
        A copy that computes the same but for rounding.
    """
    folded = copy.deepcopy(network)
    producers: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}  # outputs are kept, so that ids stay theirs
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after(module: nn.Conv2d, inputs: Any, output: torch.Tensor) -> None:
        producers[id(output)] = (module, output)

    def before(module: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        if id(inputs[0]) in producers:
            pairs.append((producers[id(inputs[0])][0], module))

    hooks = []
    for module in folded.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before))
    with torch.inference_mode():
        folded(torch.zeros((1, side_px, side_px, n_channels), dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    names = {module: name for name, module in folded.named_modules()}
    for convolution, norm in pairs:
        _fold(convolution, norm)
        parent, _, own = names[norm].rpartition(".")
        setattr(folded.get_submodule(parent), own, nn.Identity())
    return folded


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    if norm.running_mean is None or norm.running_var is None:
        raise ConfigError("a batch normalisation without running statistics cannot be folded")
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.weight, convolution.bias = weight, bias


def _compile(network: nn.Module, device: str) -> Forward:
    """Compile for one shape; weights become constants on the CPU, CUDA graphs are used on a GPU."""
    if device == "cpu":
        return torch.compile(network, dynamic=False, options={"freezing": True})
    return torch.compile(network, dynamic=False, mode="max-autotune")


def _captured(network: nn.Module, shape: tuple[int, int, int, int], device: str) -> Forward:
    """Record the network's kernels as one CUDA graph; where that fails they are launched one by one."""
    shown = torch.zeros(shape, dtype=torch.uint8, device=device)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.device(device), torch.inference_mode():
            side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(side):
                for _ in range(_N_WARM_UP):
                    network(shown)
            torch.cuda.current_stream(device).wait_stream(side)
            with torch.cuda.graph(graph):
                features: torch.Tensor = network(shown)
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        logger.warning("no CUDA graph (%s): kernels are launched one by one", error)
        return network

    def replay(pictures: torch.Tensor) -> torch.Tensor:
        shown.copy_(pictures)
        graph.replay()
        return features

    return replay
