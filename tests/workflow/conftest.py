"""Shared by the tests of downloading: a server on loopback, and a film for it to give."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.films import hits, make_film
from tests.loopback import Loopback, serving


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of 8 s and 1.5 MB, its index at the end."""
    path = tmp_path_factory.mktemp("film") / "film.mov"
    sound = hits([0.5 + index for index in range(7)], 8.0)
    make_film(path, np.arange(200) / 25, np.stack([sound, sound], axis=1), audio_codec="pcm_s16le")
    return path.read_bytes()


@pytest.fixture
def server() -> Iterator[Loopback]:
    """A server that gives what is put into its pages."""
    with serving() as loopback:
        yield loopback
