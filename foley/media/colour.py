"""High dynamic range brought to the standard one, so that every picture means the same to a network."""

import numpy as np
from numpy.typing import NDArray

_WHITE_NITS = 203.0
"""Light of a white sheet of paper in high-dynamic-range programmes (ITU-R BT.2408)."""
_HLG_PEAK_NITS = 1000.0
_KNEE = 0.7
"""Share of white up to which light is kept as it is; what is brighter is pressed between here and 1."""
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
"""From the primaries of BT.2020 to those of BT.709 (ITU-R BT.2087, inverted)."""


def to_standard_range(picture: NDArray[np.uint16], curve: str) -> NDArray[np.uint8]:
    """Bring an RGB picture of high dynamic range to the standard range.

    Parameters
    ----------
    picture : ndarray of uint16, shape (height, width, 3)
        BT.2020 colours, coded by `curve`, 65535 for full scale.
    curve : {"pq", "hlg"}
        SMPTE ST 2084 or ARIB STD-B67, both as in ITU-R BT.2100.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        sRGB.
    """
    coded = np.arange(65_536, dtype=np.float64) / 65_535
    light = (_pq_nits(coded) if curve == "pq" else _hlg_nits(coded)) / _WHITE_NITS
    linear = np.clip(light.astype(np.float32)[picture] @ _TO_BT709.T, 0.0, None)
    pressed = _KNEE + (1 - _KNEE) * np.tanh((linear - _KNEE) / (1 - _KNEE))
    shown = np.where(linear <= _KNEE, linear, pressed)
    curved = np.where(
        shown <= 0.0031308, 12.92 * shown, 1.055 * np.maximum(shown, 0.0031308) ** (1 / 2.4) - 0.055
    )
    picture8: NDArray[np.uint8] = np.round(255 * curved).astype(np.uint8)
    return picture8


def _pq_nits(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    root = coded ** (32 / 2523)
    return 10_000 * (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)


def _hlg_nits(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    return _HLG_PEAK_NITS * scene**1.2
