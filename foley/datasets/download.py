"""Download recordings with yt-dlp: resumed, retried, verified, and each failure with a reason."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from foley.store.manifests import Medium, Source


class DownloadConfig(BaseModel):
    """How recordings are fetched; the ``download:`` block of a data set's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_workers: int = Field(4, ge=1, le=64, description="downloads at one time in one job")
    n_retries: int = Field(4, ge=0, description="further tries of an item after a transient failure")
    backoff_s: float = Field(2.0, ge=0, description="wait before the second try; doubles with every try")
    max_backoff_s: float = Field(
        300.0, ge=0, description="longest wait; a server that asks for a longer one is left for a later run"
    )
    jitter: float = Field(0.5, ge=0, le=1, description="share of a wait that is drawn at random")
    rate_limit_bytes_s: int | None = Field(
        None, ge=1, description="most bytes a second of one job; sections that ffmpeg asks for do not count"
    )
    cookies_file: str = Field("", description="Netscape cookie file, for items that ask for an account")
    format: str = Field(
        "bv*[height<=720][ext=mp4]+ba[ext=m4a]/b[height<=720]/bv*+ba/b",
        description="yt-dlp's format selection",
    )
    timeout_s: float = Field(30.0, gt=0, description="longest silence of a server")
    max_bytes_per_item: int = Field(4_000_000_000, ge=1, description="larger files are refused")
    expected_bytes_per_item: int = Field(
        0, ge=0, description="for the disk-space check; 0 takes the mean of what is there already"
    )
    min_free_bytes: int = Field(1_000_000_000, ge=0, description="disk space that is never used up")
    whole_files: bool = Field(
        False, description="fetch whole files and cut sections here, in place of asking for sections"
    )


def fetch_sources(
    sources: Iterable[Source], config: DownloadConfig, *, data_dir: Path, folder: str, seed: int
) -> list[Medium]:
    """Download what is not there yet; an item that fails is a row with a reason.

    Files are ``data_dir/folder/<label>/<recording_id>.<ending>``, whatever the number of shards.

    Parameters
    ----------
    sources : iterable of Source
        ``location`` is the address itself, http or https, not encoded; ``start_s`` and ``end_s``
        choose a section.
    config : DownloadConfig
    data_dir : Path
        Folder of raw media.
    folder : str
        Name of the data set's folder in it.
    seed : int
        Of the jitter.

    Returns
    -------
    list of Medium
        In the order of `sources`; ``path`` is relative to `data_dir`.

    Raises
    ------
    FoleyError
        When the disk is full or nearly so (finished items are kept), or `data_dir` cannot be written
        to, or the cookie file cannot be read.
    """
    from foley.datasets.fetching import Fetcher  # yt-dlp takes long to import: not for a configuration

    return Fetcher(config, data_dir, folder, seed).fetch(list(sources))
