"""V2RA's metrics: grades of what is known beforehand, and the paper's own sums."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from foley.errors import StoreError
from foley.metrics import nearest, odg, osg
from foley.metrics.base import Item, MetricConfig, Recording
from foley.metrics.peaq import Movs

RATE_HZ = 44_100

# Tables 6 and 7 as printed: row, MMS, MSF, RMS, OSG.
PRINTED = """\
row,mms,msf,rms,osg
ours (Table 6),1.1951,4.3435,0.3373,3.0916
full system,0.4986,0.3903,0.0583,0.5134
z as input,0.7325,0.4417,0.0832,0.6846
L1 + CE,0.8933,43.8061,0.0670,23.3185
L1,0.3037,8.4975,0.1209,4.6462
CE,0.1730,9.3176,0.1303,5.0024
"""
INCONSISTENT = """\
row,mms,msf,rms,osg,sum
Zhou et al. (Table 6),2.9515,11.5635,0.4626,7.9039,7.9035
skip connections,3.4587,1.2723,0.0425,2.5429,2.6522
without audio filter,11.3408,21.7192,0.0330,11.3408,17.7731
random crop,0.2570,20.6246,0.0230,10.8536,10.8816
LS,1.2525,58.7788,0.1429,31.3402,31.3432
"""


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def sounding(name: str, generated: np.ndarray, recorded: np.ndarray, label: str = "a") -> Item:
    return Item(
        name,
        label,
        "test",
        sample_rate_hz=RATE_HZ,
        load_generated=lambda: generated.astype(np.float32),
        load_recorded=lambda: recorded.astype(np.float32),
    )


def tone(hz: float, n: int = RATE_HZ) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(n) / RATE_HZ)


@pytest.mark.parametrize("row", rows(PRINTED), ids=lambda row: row["row"])
def test_printed_grades_are_the_sum_of_their_columns(row: dict[str, str]) -> None:
    found = osg.grade([float(row[name]) for name in ("mms", "msf", "rms")])
    assert found == pytest.approx(float(row["osg"]), abs=1e-4)


@pytest.mark.parametrize("row", rows(INCONSISTENT), ids=lambda row: row["row"])
def test_these_printed_grades_are_not(row: dict[str, str]) -> None:
    found = osg.grade([float(row[name]) for name in ("mms", "msf", "rms")])
    assert found == pytest.approx(float(row["sum"]), abs=1e-4)
    # Rounding of the columns explains less than 0.0001.
    assert abs(found - float(row["osg"])) > 3e-4


def test_equal_sounds_have_grade_0_whatever_their_level() -> None:
    generator = np.random.default_rng(0)
    clip = generator.standard_normal(RATE_HZ)
    found = osg.score([sounding("1", 0.1 * clip, clip), sounding("2", clip, clip)], osg.Config(), 0)
    assert found.value == pytest.approx(0, abs=1e-4)
    assert {"mms", "msf", "rms", "class/a"} <= set(found.parts)


def test_features_of_known_sounds() -> None:
    n = RATE_HZ
    steady = osg.features(tone(441))
    assert steady.rms == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert steady.msf < 0.2
    pulsing = (1 + np.sin(2 * np.pi * 5 * np.arange(n) / RATE_HZ)) * tone(11_025)
    # The envelope's sine has half the peak as its amplitude: n / 4 in its bin, over the root of n.
    assert osg.features(pulsing).mms == pytest.approx(np.sqrt(n) / 4, rel=0.01)
    assert osg.features(pulsing, osg.Config(norm="backward")).mms == pytest.approx(n / 4, rel=0.01)
    spectra = np.abs([np.fft.rfft(np.hanning(1025)[:-1] * part) for part in (np.ones(1024), np.zeros(1024))])
    halves = np.concatenate([np.ones(2048), np.zeros(2048)])
    assert osg.features(halves).msf * 6 == pytest.approx(np.linalg.norm(spectra[0]), rel=0.5)
    assert osg.features(np.zeros(100)) == (0, 0, 0)
    assert osg.features(np.zeros(0)) == (0, 0, 0)
    assert np.isfinite(osg.features(np.ones(3))).all()


def test_parts_of_the_grade_add_up_to_it() -> None:
    generator = np.random.default_rng(1)
    clips = [generator.standard_normal((2, 8000)) * np.linspace(1, k, 8000) for k in (2, 5, 9)]
    found = osg.score(
        [sounding(str(k), *clip, label="ab"[k % 2]) for k, clip in enumerate(clips)], osg.Config(), 0
    )
    parts = [found.parts[name].value for name in ("mms", "msf", "rms")]
    assert found.value == pytest.approx(float(osg.grade(parts)))
    assert found.value > 0
    assert found.parts["mms"].parts["class/a"].n == 2


def test_mean_grade_with_its_parts() -> None:
    generator = np.random.default_rng(0)
    noise = 0.1 * generator.standard_normal((2, RATE_HZ))
    same, other = sounding("1", noise[0], noise[0]), sounding("2", noise[1], noise[0], "b")
    found = odg.score([same, other], MetricConfig(), 0)
    by_class = [found.parts[f"class/{label}"].value for label in "ab"]
    assert by_class[0] > 0
    assert by_class[1] < -2
    assert found.value == pytest.approx(np.mean(by_class))
    assert {f"mov/{name}" for name in Movs._fields} <= set(found.parts)
    assert found.parts["mov/bandwidth_ref"].unit == "lines of 23.4 Hz"
    assert found.ci_low is None  # one recording a class: nothing to resample
    assert odg.score([], MetricConfig(), 0).value is None


def test_intervals_resample_recordings() -> None:
    generator = np.random.default_rng(0)
    noise = 0.1 * generator.standard_normal((4, 9000))
    items = [sounding(str(k), noise[k] * (1 + k), noise[0]) for k in range(4)]
    for metric in (odg, osg):
        found = metric.score(items, metric.Config(), 0)
        assert found.ci_low < found.value < found.ci_high
        assert metric.score(items, metric.Config(), 0) == found


def test_a_clip_without_sound_is_named() -> None:
    silent = replace(sounding("clip7", tone(1), tone(1)), load_generated=None)
    for metric in (odg, osg):
        with pytest.raises(StoreError, match="clip7"):
            metric.score([silent], metric.Config(), 0)


def gallery() -> tuple[Recording, ...]:
    generator = np.random.default_rng(0)

    def recording(number: int, label: str, split: str) -> Recording:
        noise = generator.standard_normal(RATE_HZ // 2)
        sound = noise if label == "hiss" else np.cumsum(noise)
        return Recording(f"{label}{number}", label, split, lambda: (sound.astype(np.float32), RATE_HZ))

    return tuple(
        recording(number, label, split)
        for split, n in (("train", 4), ("test", 2))
        for label in ("hiss", "rumble")
        for number in range(n)
    )


def heard_as(name: str, label: str, sound: np.ndarray) -> Item:
    return replace(sounding(name, sound, sound, label), recordings=gallery())


def test_the_nearest_recording_gives_the_class() -> None:
    generator = np.random.default_rng(9)
    hiss, rumble = generator.standard_normal(20_000), np.cumsum(generator.standard_normal(20_000))
    items = [
        heard_as("1", "hiss", 1e-3 * hiss),
        heard_as("2", "rumble", rumble),
        heard_as("3", "rumble", hiss),
    ]
    found = nearest.score(items, nearest.Config(), 0)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert found.parts["class/hiss"].value == 1
    assert found.parts["class/rumble"].value == 0.5
    assert found.parts["class_average"].value == 0.75
    assert (found.parts["chance"].value, found.parts["chance"].n) == (0.5, 8)
    assert found.parts["test_set"].parts["chance"].n == 4
    assert "chance 50.0 %" in found.note
    assert found.ci_low < found.value < found.ci_high


def test_chance_follows_the_recordings_of_each_class() -> None:
    kept = tuple(one for one in gallery() if one.clip_id not in ("hiss0", "hiss1", "hiss2"))
    item = replace(heard_as("1", "hiss", tone(100)), recordings=kept)
    assert nearest.score([item], nearest.Config(), 0).parts["chance"].value == pytest.approx(1 / 5)


def test_descriptions_do_not_depend_on_level_and_take_any_length() -> None:
    sound = np.random.default_rng(0).standard_normal(30_000)
    np.testing.assert_allclose(
        nearest.describe(sound, RATE_HZ), nearest.describe(1e-3 * sound, RATE_HZ), atol=1e-3
    )
    late = np.concatenate([np.zeros(10_240), sound, np.zeros(9000)])
    assert np.abs(nearest.describe(late, RATE_HZ) - nearest.describe(sound, RATE_HZ)).max() < 2
    for n in (0, 1, 100):
        assert np.isfinite(nearest.describe(sound[:n], RATE_HZ)).all()


def test_a_data_set_without_training_recordings_is_said() -> None:
    item = replace(heard_as("1", "hiss", tone(100)), recordings=gallery()[8:])
    with pytest.raises(StoreError, match="no train recording"):
        nearest.score([item], nearest.Config(), 0)
