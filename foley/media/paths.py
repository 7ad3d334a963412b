"""Where a manifest's row says that a raw file is, and whether it may be there."""

import os
from pathlib import Path

from foley.errors import MediaError
from foley.media.ffmpeg import shown
from foley.media.reasons import Reason
from foley.store.manifests import decode_path


def media_path(data_dir: str | Path, encoded: str) -> Path:
    """Find the raw file of a manifest's row; it is only ever read.

    Parameters
    ----------
    data_dir : str or Path
        Folder that relative paths start from; may itself be a link.
    encoded : str
        Path as :func:`foley.store.manifests.encode_path` writes it. An absolute one is of a data set
        whose files stay where they are, and is taken as it is.

    Returns
    -------
    Path
        The file need not be there.

    Raises
    ------
    MediaError
        ``unsafe_path`` when a relative path leaves `data_dir`, by ``..`` or through a link, or when
        the path holds a null character.
    """
    path = decode_path(encoded)
    if "\0" in str(path):
        raise MediaError(Reason.UNSAFE_PATH, f"{encoded}: holds a null character; correct the manifest")
    if path.is_absolute():
        return path
    # Dots are judged before links are followed: a/../../x must not pass because a is missing.
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            raise MediaError(
                Reason.UNSAFE_PATH, f"{shown(path)}: leaves the data folder; correct the manifest"
            )
    full = Path(data_dir) / path
    # Not Path.resolve, which takes offence at links that go round in a circle.
    if not Path(os.path.realpath(full)).is_relative_to(os.path.realpath(data_dir)):
        raise MediaError(
            Reason.UNSAFE_PATH,
            f"{shown(path)}: is behind a link that leaves the data folder; copy it into the folder, or make "
            "the folder itself the link",
        )
    return full
