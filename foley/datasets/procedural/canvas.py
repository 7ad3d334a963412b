"""A picture to paint on in scene units, with sub-pixel positions and antialiased edges."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Colour = tuple[float, float, float]
"""RGB, each in [0, 255]."""

_SHIFT = 4
_ONE = 1 << _SHIFT
_CIRCLE = np.stack(
    [
        np.cos(np.linspace(0, 2 * np.pi, 28, endpoint=False)),
        np.sin(np.linspace(0, 2 * np.pi, 28, endpoint=False)),
    ],
    axis=1,
)


class Canvas:
    """An RGB picture seen through a camera.

    Scene units are mapped to pixels by the camera's affine transform, so pan, zoom and shake come
    for free: paint where things are, not where the lens sees them.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        RGB picture, painted in place.
    camera : ndarray of float64, shape (2, 3)
        Affine map from scene units to pixels.
    """

    def __init__(self, image: NDArray[np.uint8], camera: NDArray[np.float64]) -> None:
        self.image = image
        self.camera = camera
        self.scale = float(np.sqrt(abs(np.linalg.det(camera[:, :2]))))
        """Pixels in one scene unit."""

    def to_px(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map scene points, shape (n, 2), to pixel positions, shape (n, 2)."""
        pts = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        mapped: NDArray[np.float64] = pts @ self.camera[:, :2].T + self.camera[:, 2]
        return mapped

    def _fixed(self, points: ArrayLike) -> NDArray[np.int32]:
        limit = 1 << 24
        return np.minimum(np.maximum(np.rint(self.to_px(points) * _ONE), -limit), limit).astype(np.int32)

    def polygon(self, points: ArrayLike, colour: Colour, alpha: float = 1.0) -> None:
        """Fill the polygon through `points`, shape (n, 2), in scene units."""
        fixed = self._fixed(points)
        self._mixed(fixed, alpha, lambda img: cv2.fillPoly(img, [fixed], colour, cv2.LINE_AA, _SHIFT))

    def polygons(self, shapes: ArrayLike, colour: Colour) -> None:
        """Fill many polygons of one colour, shape (n_polygons, n_corners, 2), in scene units."""
        corners = np.asarray(shapes, dtype=np.float64)
        if corners.size == 0:
            return
        for fixed in self._fixed(corners.reshape(-1, 2)).reshape(corners.shape):
            cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SHIFT)

    def patches(self, points: ArrayLike, colours: Sequence[Colour]) -> None:
        """Fill polygons of equally many corners, shape (n, n_corners, 2), each in its own colour."""
        pts = np.asarray(points, dtype=np.float64)
        for fixed, colour in zip(self._fixed(pts).reshape(pts.shape), colours, strict=True):
            cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: ArrayLike, colour: Colour, width: float, alpha: float = 1.0) -> None:
        """Draw an open line through `points`, shape (n, 2); `width` in scene units."""
        fixed = self._fixed(points)
        px = max(1, round(width * self.scale))
        self._mixed(
            fixed,
            alpha,
            lambda img: cv2.polylines(img, [fixed], False, colour, px, cv2.LINE_AA, _SHIFT),
            pad_px=px,
        )

    def circle(self, centre: Sequence[float], radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """Fill a circle; `radius` in scene units."""
        self.ellipse(centre, (radius, radius), 0.0, colour, alpha)

    def ellipse(
        self,
        centre: Sequence[float],
        radii: Sequence[float],
        angle_deg: float,
        colour: Colour,
        alpha: float = 1.0,
    ) -> None:
        """Fill an ellipse with half-axes `radii`, turned clockwise by `angle_deg`."""
        turn = np.deg2rad(angle_deg)
        c, s = float(np.cos(turn)), float(np.sin(turn))
        axes = np.array([[c * radii[0], s * radii[0]], [-s * radii[1], c * radii[1]]])
        points = _CIRCLE @ axes + (centre[0], centre[1])
        self.polygon(points, colour, alpha)

    def text(
        self, centre: Sequence[float], words: str, height: float, colour: Colour, width: float = 0.008
    ) -> None:
        """Write upright capitals around `centre`; letter `height` and pen `width` in scene units."""
        pen = max(1, round(width * self.scale))
        size = height * self.scale / 21.0
        (wide, tall), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, pen)
        x, y = self.to_px([centre])[0]
        corner = (round(float(x) - wide / 2), round(float(y) + tall / 2))
        cv2.putText(self.image, words, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, pen, cv2.LINE_AA)

    def textured(self, quad: ArrayLike, texture: NDArray[np.uint8], alpha: float = 1.0) -> None:
        """Map an RGB or RGBA `texture`, shape (h, w, 3 or 4), onto the scene quad, shape (4, 2).

        The quad's corners are top-left, top-right, bottom-right, bottom-left; perspective quads
        are fine.
        """
        height, width = self.image.shape[:2]
        target = self.to_px(quad)
        x0, y0 = np.floor(target.min(axis=0)).astype(int)
        x1, y1 = np.ceil(target.max(axis=0)).astype(int) + 1
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if x1 <= x0 or y1 <= y0:
            return
        th, tw = texture.shape[:2]
        corners = np.array([[0, 0], [tw, 0], [tw, th], [0, th]], dtype=np.float32)
        matrix = cv2.getPerspectiveTransform(corners, (target - (x0, y0)).astype(np.float32))
        size = (x1 - x0, y1 - y0)
        if texture.shape[2] == 3 and alpha >= 1.0:
            region = self.image[y0:y1, x0:x1]
            region[:] = cv2.warpPerspective(
                texture,
                matrix,
                size,
                dst=region.copy(),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_TRANSPARENT,
            )
            return
        warped = cv2.warpPerspective(texture, matrix, size, flags=cv2.INTER_LINEAR)
        if texture.shape[2] == 4:
            cover = cv2.extractChannel(warped, 3)
            warped = cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
        else:
            cover = cv2.warpPerspective(np.full((th, tw), 255, dtype=np.uint8), matrix, size)
        self._blend(x0, y0, warped, cover.astype(np.float32) * np.float32(alpha / 255))

    def sprite(
        self, centre: Sequence[float], height: float, rgba: NDArray[np.uint8], alpha: float = 1.0
    ) -> None:
        """Paste an RGBA picture upright with its middle at `centre`, `height` scene units high."""
        half_h = height / 2
        half_w = half_h * rgba.shape[1] / rgba.shape[0]
        x, y = centre[0], centre[1]
        self.textured(
            [
                [x - half_w, y - half_h],
                [x + half_w, y - half_h],
                [x + half_w, y + half_h],
                [x - half_w, y + half_h],
            ],
            rgba,
            alpha,
        )

    def glow(self, centre: Sequence[float], radius: float, colour: Colour, strength: float = 1.0) -> None:
        """Add light that fades out to `radius` (flash, spark, lamp)."""
        (cx, cy), r = self.to_px([centre])[0], radius * self.scale
        height, width = self.image.shape[:2]
        x0, x1 = max(int(cx - r), 0), min(int(cx + r) + 1, width)
        y0, y1 = max(int(cy - r), 0), min(int(cy + r) + 1, height)
        if x1 <= x0 or y1 <= y0 or r < 0.5:
            return
        gx = (np.arange(x0, x1, dtype=np.float32) - cx) / r
        gy = (np.arange(y0, y1, dtype=np.float32) - cy) / r
        fall = np.clip(1 - (gx[None, :] ** 2 + gy[:, None] ** 2), 0, 1) ** 2 * strength
        region = self.image[y0:y1, x0:x1]
        light = cv2.merge([np.minimum(fall * np.float32(part), 255).astype(np.uint8) for part in colour])
        region[:] = cv2.add(region, light)

    def dots(self, points: ArrayLike, radius_px: float, colour: Colour, alpha: float = 1.0) -> None:
        """Draw many small discs at scene `points`, shape (n, 2), of one size in pixels (dust, drops)."""
        fixed = self._fixed(points)
        if len(fixed) == 0:
            return

        def paint(img: NDArray[np.uint8]) -> None:
            for x, y in fixed:
                cv2.circle(
                    img, (int(x), int(y)), max(1, round(radius_px * _ONE)), colour, -1, cv2.LINE_AA, _SHIFT
                )

        self._mixed(fixed, alpha, paint, pad_px=int(radius_px) + 2)

    def lines(
        self,
        points: ArrayLike,
        colour: Colour,
        width: float,
        alpha: float = 1.0,
        closed: bool = False,
    ) -> None:
        """Draw many lines of one look at once; `points` has shape (n_lines, n_points, 2)."""
        pts = np.asarray(points, dtype=np.float64)
        if pts.size == 0:
            return
        fixed = self._fixed(pts)
        parts = list(fixed.reshape(pts.shape[0], pts.shape[1], 2))
        px = max(1, round(width * self.scale))
        self._mixed(
            fixed,
            alpha,
            lambda img: cv2.polylines(img, parts, closed, colour, px, cv2.LINE_AA, _SHIFT),
            pad_px=px,
        )

    def _map_of(self, box: Sequence[float], texture: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Affine map from the pixels of a texture laid on the scene `box` to those of the picture."""
        x0, y0, x1, y1 = box
        sx, sy = (x1 - x0) / texture.shape[1], (y1 - y0) / texture.shape[0]
        lay = np.array([[sx, 0, x0 + sx / 2], [0, sy, y0 + sy / 2], [0, 0, 1]])
        mapped: NDArray[np.float64] = self.camera @ lay
        return mapped

    def backdrop(self, box: Sequence[float], texture: NDArray[np.uint8]) -> None:
        """Cover the whole picture with an RGB texture laid on `box` = (x0, y0, x1, y1), mirrored outside."""
        height, width = self.image.shape[:2]
        matrix = self._map_of(box, texture)
        self.image[:] = _warped(texture, matrix, (width, height), cv2.BORDER_REFLECT)

    def veil(
        self, box: Sequence[float], rgb: NDArray[np.uint8], cover: NDArray[np.uint8] | None = None
    ) -> None:
        """Lay a large translucent sheet on `box` = (x0, y0, x1, y1), much faster than `textured`.

        Parameters
        ----------
        box : sequence of float
            Scene position of the sheet's edges.
        rgb : ndarray of uint8, shape (h, w, 3)
            Light of the sheet, already multiplied by its opacity.
        cover : ndarray of uint8, shape (h, w), or None
            Opacity; ``None`` adds pure light (flames, spray in the sun).
        """
        height, width = self.image.shape[:2]
        x0, y0, x1, y1 = box
        target = self.to_px([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        left, top = np.maximum(np.floor(target.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(target.max(axis=0)), (width, height)).astype(int)
        if right <= left or bottom <= top:
            return
        matrix = self._map_of(box, rgb)
        matrix[:, 2] -= (left, top)
        size = (int(right - left), int(bottom - top))
        region = self.image[top:bottom, left:right]
        light = _warped(rgb, matrix, size, cv2.BORDER_CONSTANT)
        if cover is not None:
            keep = 255 - _warped(cover, matrix, size, cv2.BORDER_CONSTANT)
            region[:] = cv2.multiply(region, cv2.merge([keep, keep, keep]), scale=1 / 255)
        region[:] = cv2.add(region, light)

    def _mixed(self, fixed, alpha, paint, pad_px: int = 2) -> None:  # type: ignore[no-untyped-def]
        """Run `paint` on the picture, or on a copy of the touched box when it is translucent."""
        if alpha >= 1.0:
            paint(self.image)
            return
        if alpha <= 0.0:
            return
        height, width = self.image.shape[:2]
        low, high = fixed.min(axis=0) // _ONE - pad_px, fixed.max(axis=0) // _ONE + pad_px + 1
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        x1, y1 = min(int(high[0]), width), min(int(high[1]), height)
        if x1 <= x0 or y1 <= y0:
            return
        before = self.image[y0:y1, x0:x1].copy()
        paint(self.image)
        region = self.image[y0:y1, x0:x1]
        region[:] = cv2.addWeighted(region, alpha, before, 1 - alpha, 0)

    def _blend(self, x0: int, y0: int, colour: NDArray[np.uint8], mask: NDArray[np.float32]) -> None:
        region = self.image[y0 : y0 + colour.shape[0], x0 : x0 + colour.shape[1]]
        region[:] = cv2.blendLinear(colour, region.copy(), mask, 1 - mask)


def _warped(
    texture: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int], border: int
) -> NDArray[np.uint8]:
    """`texture` through an affine `matrix` to a picture of `size` (width, height).

    A texture coarser than the picture is warped at its own resolution and then enlarged, which
    looks the same and takes half the time.
    """
    finer = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if finer < 1.25:
        return np.asarray(cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border))
    small = (max(1, round(size[0] / finer)), max(1, round(size[1] / finer)))
    # Pixel centres, not corners, have to agree on both grids.
    fx, fy = small[0] / size[0], small[1] / size[1]
    shrink = np.array([[fx, 0, fx / 2 - 0.5], [0, fy, fy / 2 - 0.5], [0, 0, 1]])
    coarse = (shrink @ np.vstack([matrix, [0, 0, 1]]))[:2]
    warped = cv2.warpAffine(texture, coarse, small, flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(cv2.resize(warped, size, interpolation=cv2.INTER_LINEAR))
