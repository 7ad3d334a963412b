"""Eight-bit integers: quantise a network after training, for OpenVINO.

Weights are rounded to eight bits a channel, the inputs of convolutions to eight bits a tensor, over
the range that they take on a few dozen drawn pictures. OpenVINO then runs the convolutions on
integers. Depthwise convolutions stay as they are: they are little work, and lose most by rounding.
Features are no longer those of float32: ``python -m benchmarks.precision`` prints what that costs.
"""

from typing import Any

import cv2
import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino import opset13 as ops

from foley.seeds import numpy_generator

Picture = NDArray[np.uint8]

_LAYERS = frozenset({"Convolution", "MatMul"})
_N_PICTURES = 24
_N_DISCS = 400
_EXACT = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
"""Ranges are found in float32, and do not depend on the number of threads."""
_TAIL = 1e-4
"""Share of the largest values that are cut off: one outlier must not coarsen everything else."""
_N_VALUES = 30_000
"""Values of an output, evenly taken, that its range is found on."""


def quantise(graph: Any, side_px: int, pictures: Picture | None = None) -> Any:
    """Put eight-bit rounding before every convolution of a model.

    Parameters
    ----------
    graph : openvino.Model
        Input uint8 (1, px, px, 3), batch normalisation folded; it is changed.
    side_px : int
        Side of its pictures.
    pictures : ndarray of uint8, shape (n, side_px, side_px, 3), optional
        What to find ranges on; by default :func:`calibration_pictures`.

    Returns
    -------
    openvino.Model
    """
    shown = calibration_pictures(side_px) if pictures is None else pictures
    layers = [node for node in graph.get_ordered_ops() if node.get_type_name() in _LAYERS]
    inputs = {_key(layer.input_value(0)): layer.input_value(0) for layer in layers}
    ranges = _ranges(graph, list(inputs.values()), shown)
    rounded = {
        key: _rounded(source, *found, levels=256)
        for (key, source), found in zip(inputs.items(), ranges, strict=True)
    }
    for layer in layers:
        layer.input(0).replace_source_output(rounded[_key(layer.input_value(0))])
        layer.input(1).replace_source_output(_rounded_weights(layer))
    graph.validate_nodes_and_infer_types()
    return graph


def calibration_pictures(side_px: int, n: int = _N_PICTURES) -> Picture:
    """Draw pictures with the statistics of photographs: discs that hide one another.

    Sizes follow a power law (Lee, Mumford and Huang 2001: "dead leaves"), so that there are edges and
    flat parts at every scale. Every second picture is a space-time image: the grey of three instants.

    Returns
    -------
    ndarray of uint8, shape (n, side_px, side_px, 3)
        Always the same ones.
    """
    generator = numpy_generator(0, "int8", "calibration")
    drawn = np.stack([_leaves(side_px, generator) for _ in range(n)])
    for index in range(1, n, 2):
        grey = cv2.cvtColor(drawn[index], cv2.COLOR_RGB2GRAY)
        shifts = generator.integers(-3, 4, size=(2, 2))
        before, after = (np.roll(grey, (int(dy), int(dx)), axis=(0, 1)) for dy, dx in shifts)
        drawn[index] = np.stack([before, grey, after], axis=-1)
    return drawn


def _leaves(side_px: int, generator: np.random.Generator) -> Picture:
    canvas = np.zeros((side_px, side_px, 3), dtype=np.uint8)
    canvas[:] = generator.integers(0, 256, size=3)
    smallest, largest = 1.0, side_px / 2
    # Radii with density r ** -3 between the two, by the inverse of their distribution.
    share = generator.random(_N_DISCS)
    radii = (smallest**-2 - share * (smallest**-2 - largest**-2)) ** -0.5
    centres = generator.integers(0, side_px, size=(_N_DISCS, 2))
    colours = generator.integers(0, 256, size=(_N_DISCS, 3))
    for radius, centre, colour in zip(radii, centres, colours, strict=True):
        cv2.circle(
            canvas,
            (int(centre[0]), int(centre[1])),
            round(radius),
            tuple(map(int, colour)),
            -1,
            cv2.LINE_AA,
        )
    noise = generator.normal(0, 3, canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)


def _key(output: Any) -> tuple[str, int]:
    return output.get_node().get_name(), output.get_index()


def _ranges(graph: Any, outputs: list[Any], pictures: Picture) -> list[tuple[float, float]]:
    """Smallest and largest value of each output over the pictures, without the utmost tails."""
    watched = openvino.Model(outputs, graph.get_parameters(), "watched")
    request = openvino.Core().compile_model(watched, "CPU", _EXACT)
    limits = []
    for picture in pictures:
        found = request([picture[None]])
        values = (found[index].ravel() for index in range(len(outputs)))
        limits.append([np.quantile(v[:: 1 + v.size // _N_VALUES], [_TAIL, 1 - _TAIL]) for v in values])
    low, high = np.min(limits, axis=0)[:, 0], np.max(limits, axis=0)[:, 1]
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _rounded(source: Any, low: float, high: float, *, levels: int) -> Any:
    """Round to `levels`: from 0 where nothing is negative, else symmetrically about 0."""
    if low >= 0:
        bounds = (0.0, max(high, 1e-6))
    else:
        largest = max(-low, high)
        bounds = (-largest * levels / (levels - 2), largest)
    ends = [ops.constant(np.float32(bound)) for bound in bounds]
    return ops.fake_quantize(source, *ends, *ends, levels).output(0)


def _rounded_weights(layer: Any) -> Any:
    """Round weights to eight bits, a scale for each output channel.

    Without VNNI instructions products of two eight-bit numbers are added up in 16 bits, which overflow:
    there weights keep seven bits.
    """
    source = layer.input_value(1)
    # A constant, or made from constants by conversions: evaluated either way.
    model = openvino.Model([source], [], "weights")
    weights = np.array(openvino.Core().compile_model(model, "CPU", _EXACT)([])[0], dtype=np.float32)
    axes = tuple(range(1, weights.ndim))
    largest = np.maximum(np.abs(weights).max(axis=axes, keepdims=True), 1e-9)
    if not _has_vnni():
        largest = 2 * largest
    low, high = ops.constant(-largest), ops.constant(largest)
    return ops.fake_quantize(ops.constant(weights), low, high, low, high, 255).output(0)


def _has_vnni() -> bool:
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx_vnni") or able.get("avx512_vnni") or able.get("amx_int8"))
