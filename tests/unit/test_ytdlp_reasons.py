"""What sites say through yt-dlp, and the reason it is filed under."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from foley.datasets.ytdlp import FetchError, check_address, one_line, reason_of, retry_after_s
from foley.media.reasons import Reason, cure

SAID = {
    "Private video. Sign in if you've been granted access to this video": "private",
    "Join this channel to get access to members-only content like this video": "private",
    "This video requires payment to watch": "private",
    "This video is only available for registered users. Use --username and --password": "private",
    "This video is only available to Music Premium members": "private",
    "Video unavailable. This video has been removed by the uploader": "removed",
    "This video has been removed for violating YouTube's policy on hate speech": "removed",
    "Video unavailable. This video is no longer available because the YouTube account associated with this "
    "video has been terminated.": "removed",
    "Video unavailable. This video is no longer available due to a copyright claim by X": "removed",
    "The uploader has not made this video available in your country": "region",
    "Video unavailable. This video contains content from X, who has blocked it in your country on copyright "
    "grounds": "region",
    "This video is not available from your location due to geo restriction": "region",
    "Sign in to confirm your age. This video may be inappropriate for some users.": "age_restricted",
    "Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser": "rate_limit",
    "Video unavailable. This content isn't available, try again later. The current session has been "
    "rate-limited by YouTube for up to an hour.": "rate_limit",
    "Video unavailable": "unavailable",
    "This live event will begin in 3 hours.": "unavailable",
    "Requested format is not available. Use --list-formats for a list": "unavailable",
    "This video is DRM protected": "unavailable",
    "[download] Got error: The read operation timed out": "network",
    "ffmpeg exited with code 8": "network",
    "Unable to download API page: HTTP Error 503: Service Unavailable": "network",
    "Unable to download webpage: HTTP Error 404: Not Found": "unavailable",
    "unable to download video data: HTTP Error 403: Forbidden": "forbidden",
    "HTTP Error 403: Forbidden. Sign in to confirm you're not a bot": "rate_limit",
    "Unable to extract yt initial data": "extractor_error",
    "'NoneType' object has no attribute 'group'": "extractor_error",
}


@pytest.mark.parametrize(("text", "reason"), SAID.items(), ids=[text[:50] for text in SAID])
def test_what_a_site_says_has_its_reason(text: str, reason: str) -> None:
    assert reason_of([DownloadError(f"ERROR: {text}")], text) == reason
    behind = ExtractorError(text, expected=True, video_id="private-removed-age-restricted", ie="copyright")
    assert reason_of([DownloadError(str(behind)), behind], one_line(str(behind))) == reason
    assert cure(reason)


def test_the_words_of_an_address_say_nothing() -> None:
    text = "Unsupported URL: http://host/private/removed/captcha.mp4"
    assert reason_of([ExtractorError(text)], text) == "unavailable"


def test_a_kind_of_error_decides_before_its_words() -> None:
    assert reason_of([GeoRestrictedError("Video unavailable")], "Video unavailable") == "region"
    assert reason_of([ValueError("private"), ConnectionResetError()], "private") == "network"


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("120") == 120.0
    assert 50.0 < retry_after_s(formatdate(time.time() + 60, usegmt=True)) <= 60.0
    assert retry_after_s(formatdate(time.time() - 60, usegmt=True)) == 0.0
    assert retry_after_s(None) == 0.0


@given(st.text(max_size=40))
def test_any_retry_after_is_a_time_to_wait(text: str) -> None:
    assert 0.0 <= retry_after_s(text) < float("inf")


@given(st.text(max_size=40) | st.text(max_size=20).map("http://{}".format))
def test_an_address_is_a_web_address_or_refused_with_a_reason(text: str) -> None:
    refused: list[FetchError] = []
    try:
        check_address(text)
    except FetchError as error:
        refused.append(error)
    if refused:
        assert refused[0].reason == Reason.UNSAFE_URL
        assert str(refused[0]).isprintable()
    else:
        assert text.lower().startswith(("http://", "https://"))
        assert text.isprintable()
        assert not set(text) & set(" \t\r\n\\")


@given(st.text(max_size=600))
def test_one_line_fits_a_table(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 300
    assert one_line(line) == line or "ERROR: " in text or "\x1b" in text
