"""Image networks on OpenVINO: the fastest faithful route on every CPU that was measured."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import nn

from foley.errors import ConfigError
from foley.features.engines import Precision, Run

_HINTS = {"float32": "f32", "int8": "f32", "bfloat16": "bf16", "float16": "f16"}
_NEEDED = {"float32": "FP32", "int8": "INT8", "bfloat16": "BF16", "float16": "FP16"}


def prepare(
    network: nn.Module, *, side_px: int, precision: Precision, n_channels: int = 3, n_threads: int = 1
) -> Callable[[int], Run]:
    """Make a network ready to run on the CPU.

    Parameters
    ----------
    network : nn.Module
        From uint8 (batch, px, px, n_channels) to (batch, dim).
    side_px, n_channels : int
        Of the pictures: RGB has 3 channels, optical flow 2.
    precision : str
        What convolutions compute in. With ``int8`` the network is quantised here
        (:mod:`foley.features.engines.int8`).
    n_threads : int
        Threads.

    Returns
    -------
    callable
        From a batch size to the function that runs such batches.

    Raises
    ------
    ConfigError
        If the CPU cannot compute in the precision, or the precision is not for optical flow.
    """
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if _NEEDED[precision] not in able:
        raise ConfigError(
            f"this CPU does not compute in {precision} (it does in {', '.join(able)}); set precision: auto"
        )
    if precision == "int8":
        if n_channels != 3:
            raise ConfigError("precision int8 is found on pictures, not on optical flow; use another one")
        from foley.features.engines.by_torch import fold_batch_norms
        from foley.features.engines.int8 import quantise

        graph = quantise(to_graph(fold_batch_norms(network, side_px), side_px), side_px)
    else:
        graph = to_graph(network, side_px, n_channels)
    options = {
        "INFERENCE_NUM_THREADS": n_threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "ENABLE_CPU_PINNING": False,  # each job would be nailed to the same first core
    }

    def with_batch(batch_size: int) -> Run:
        sized = graph.clone()
        sized.reshape((batch_size, side_px, side_px, n_channels))
        request = openvino.Core().compile_model(sized, "CPU", options).create_infer_request()

        def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.array(request.infer([pictures])[0])

        return run

    return with_batch


def best_precision() -> Precision:
    """Fastest precision whose features agree with float32: bfloat16 where the CPU has it."""
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if "BF16" in able else "float32"


def to_graph(network: nn.Module, side_px: int, n_channels: int = 3) -> Any:
    """Convert a network to an OpenVINO model with uint8 input.

    The steps of ``openvino.convert_model``, without its usage reports over the network.
    """
    # Tracing runs it, so it is kept small.
    one = torch.zeros((1, side_px, side_px, n_channels), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)  # how OpenVINO traces
        decoder = TorchScriptPythonDecoder(
            network,
            example_input=(one,),
            trace_kwargs={"check_trace": False},  # tests compare the features
        )
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    graph.inputs[0].get_node().set_element_type(openvino.Type.u8)
    graph.reshape((1, side_px, side_px, n_channels))
    return graph
