"""Errors that a person can act on."""


class FoleyError(Exception):
    """Base of every error that Foley raises on purpose; its text names the file and the cure."""


class ConfigError(FoleyError):
    """The configuration is wrong: names the key and what was expected."""


class ManifestError(FoleyError):
    """A manifest does not hold what its contract says: names file, row and column."""


class MediaError(FoleyError):
    """A media file cannot be used.

    Parameters
    ----------
    reason : str
        Reason code of the failure ledger, for example ``decode_error`` or ``no_audio``.
    message : str
        What was found and what to do about it; names the file.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(FoleyError):
    """A shard or model file is missing something or is damaged: names file and item."""


class DiskFullError(StoreError):
    """There is no room to write: names the folder. It ends the job and is never one item's reason."""
