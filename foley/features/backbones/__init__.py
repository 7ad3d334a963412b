"""Image networks: one module each, named in the registry.

A module exposes ``DIM`` (length of a feature), ``INPUT_PX`` (the size it was trained at),
``MEAN`` and ``SPREAD`` (normalisation of RGB values of 0 to 255), ``WEIGHTS`` (where weights come
from and their licence) and ``build(config) -> nn.Module``, which takes uint8 RGB pictures
(batch, h, w, 3) and gives the globally averaged output of the last convolution (batch, DIM).

A network that looks at optical flow has ``build_for_flow(config, bound_px) -> nn.Module``, which takes
uint8 maps (batch, h, w, 2) with 128 for no motion and 255 for `bound_px` pixels.
"""
