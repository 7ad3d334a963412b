"""The closed list of reasons why a medium cannot be used: the codes of the failure ledger."""

from enum import StrEnum


class Reason(StrEnum):
    """Reason code; its text is what ledgers and :class:`~foley.errors.MediaError` carry."""

    # Getting it
    UNAVAILABLE = "unavailable"
    PRIVATE = "private"
    REGION = "region"
    REMOVED = "removed"
    RATE_LIMIT = "rate_limit"
    NETWORK = "network"
    AGE_RESTRICTED = "age_restricted"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too_large"
    UNSAFE_URL = "unsafe_url"
    EXTRACTOR_ERROR = "extractor_error"
    RENDER_ERROR = "render_error"
    # The file itself
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    UNSAFE_PATH = "unsafe_path"
    CHANGED = "changed"
    DUPLICATE = "duplicate"
    NOT_MEDIA = "not_media"
    BAD_ANNOTATION = "bad_annotation"
    DECODE_ERROR = "decode_error"
    # What is in it
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    TOO_SHORT = "too_short"
    SILENT = "silent"
    STILL = "still"
    BLACK = "black"
    CLIPPED = "clipped"
    # Remarks: usable all the same, unless ``check.refuse`` names them
    SOUND_OFFSET = "sound_offset"
    SOUND_LENGTH = "sound_length"
    SAMPLE_RATE = "sample_rate"
    CHANNEL_LAYOUT = "channel_layout"
    VARIABLE_FRAME_RATE = "variable_frame_rate"
    ROTATED = "rotated"
    ODD_SIZE = "odd_size"
    BIT_DEPTH = "bit_depth"
    HIGH_DYNAMIC_RANGE = "high_dynamic_range"
    FROZEN = "frozen"
    BLACK_PICTURES = "black_pictures"
    DAMAGED_PICTURES = "damaged_pictures"


OK = "ok"
"""Status of a medium that can be used."""

_CURES = {
    Reason.UNAVAILABLE: "the address gives nothing; remove it from the list or find a mirror",
    Reason.PRIVATE: "ask the owner for access, or remove it from the list",
    Reason.REGION: "fetch it from a region where it is offered, or remove it from the list",
    Reason.REMOVED: "it is gone; remove it from the list",
    Reason.RATE_LIMIT: "wait and run again; finished items are kept",
    Reason.NETWORK: "check the connection and run again; finished items are kept",
    Reason.AGE_RESTRICTED: "give cookies of an adult's account (download.cookies_file), then `foley retry`",
    Reason.FORBIDDEN: "give cookies of an account (download.cookies_file), then `foley retry`, or remove it",
    Reason.TOO_LARGE: "raise download.max_bytes_per_item, then `foley retry`, or remove it from the list",
    Reason.UNSAFE_URL: "only http and https addresses are fetched; correct the list",
    Reason.EXTRACTOR_ERROR: "upgrade yt-dlp, then `foley retry`",
    Reason.RENDER_ERROR: "report the recording id and the seed: a generator must not fail",
    Reason.MISSING_FILE: "restore the file or remove it from the data set",
    Reason.EMPTY_FILE: "fetch the file again",
    Reason.UNSAFE_PATH: "copy the file into the data folder in place of a link that leaves it",
    Reason.CHANGED: "the file is not the one that was acquired; run the acquisition again",
    Reason.DUPLICATE: "remove one of the two; the first by name was kept",
    Reason.NOT_MEDIA: "replace it by an audio or video file; the content decides, not the ending",
    Reason.BAD_ANNOTATION: "correct the annotation file that the detail names",
    Reason.DECODE_ERROR: "fetch the file again or re-encode it",
    Reason.NO_VIDEO: "use a file with a moving picture",
    Reason.NO_AUDIO: "use a file with sound",
    Reason.TOO_SHORT: "use a longer recording or a smaller minimum duration",
    Reason.SILENT: "use a recording whose sound track is not empty",
    Reason.STILL: "use a recording whose picture moves",
    Reason.BLACK: "use a recording that shows something",
    Reason.CLIPPED: "use a recording that was made at a lower level",
    Reason.SOUND_OFFSET: "none needed: silence is put before late sound; look whether both belong together",
    Reason.SOUND_LENGTH: "none needed: clips without sound are left out; look whether both belong together",
    Reason.SAMPLE_RATE: "use a recording with the full range of pitches, or judge without the highest",
    Reason.CHANNEL_LAYOUT: "none needed: channels are folded to one",
    Reason.VARIABLE_FRAME_RATE: "none needed: time stamps are followed, pictures are never counted",
    Reason.ROTATED: "none needed: pictures are turned as the file asks",
    Reason.ODD_SIZE: "none needed: pictures are squeezed to a square",
    Reason.BIT_DEPTH: "none needed: pictures are rounded to 8 bits",
    Reason.HIGH_DYNAMIC_RANGE: "none needed: pictures are brought to standard range",
    Reason.FROZEN: "cut the part that does not move",
    Reason.BLACK_PICTURES: "cut the black part",
    Reason.DAMAGED_PICTURES: "fetch the file again or use another copy",
}


def cure(reason: str) -> str:
    """Say what a person can do about a reason code.

    Parameters
    ----------
    reason : str
        One of :class:`Reason`.

    Returns
    -------
    str
        Half a sentence.

    Raises
    ------
    ValueError
        If there is no such reason.

    Examples
    --------
    >>> cure("empty_file")
    'fetch the file again'
    """
    return _CURES[Reason(reason)]
