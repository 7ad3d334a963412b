"""Proof that the procedural data set is worth learning from."""

from pathlib import Path

import numpy as np
import pytest

from foley.datasets.procedural.audit import (
    blind_timing,
    change_at_events,
    contact_sheet,
    histogram_accuracy,
    onset_errors,
    shared_traits,
    small_shot,
    spectrogram_panels,
)
from foley.datasets.procedural.config import AFD_CLASSES, IMPACT_CLASSES, ProceduralConfig
from foley.datasets.procedural.film import picture_at
from foley.datasets.procedural.make import Take, list_recordings, make_recording, stage_take, truth_of

CONFIG = ProceduralConfig(recordings_per_class=20, held_out_fraction=0.25, seed=20)
SMALL = ProceduralConfig(
    recordings_per_class=2,
    held_out_fraction=0.5,
    min_duration_s=4.0,
    max_duration_s=4.5,
    frame_sizes_px=((160, 120),),
    frame_rates=("15",),
    motion_blur_samples=1,
    seed=21,
)
MAY_BE_SHARED = {"film.camera", "film.light", "film.tone"}


@pytest.fixture(scope="session")
def takes() -> list[Take]:
    """Twelve classes, 15 training and 5 held-out recordings of each, staged but not filmed."""
    return [stage_take(*row, CONFIG) for row in list_recordings(CONFIG)]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """A few small recordings as files."""
    folder = tmp_path_factory.mktemp("procedural")
    return folder, [make_recording(*row, SMALL, folder) for row in list_recordings(SMALL)]


def test_colours_do_not_tell_the_class(takes):
    rng = np.random.default_rng(0)
    frames = {False: [], True: []}
    for take in takes:
        for part in rng.uniform(0.05, 0.95, 3):
            shot = small_shot(take, 72)
            picture = picture_at(
                take.performance, take.nuisances, shot, float(part) * take.stage.duration_s, 0
            )
            frames[take.stage.held_out].append((take.label, picture))
    accuracy = histogram_accuracy(frames[False], frames[True])
    assert accuracy < 0.35, accuracy


def test_event_times_cannot_be_told_without_the_picture(takes):
    def times(take):
        return [event.time_s for event in take.performance.events]

    impact = [take for take in takes if take.label in IMPACT_CLASSES]
    train = [(take.label, times(take)) for take in impact if not take.stage.held_out]
    test = [(take.label, times(take), take.stage.duration_s) for take in impact if take.stage.held_out]
    blind, chance = blind_timing(train, test, np.random.default_rng(0))
    assert blind < chance + 0.03, (blind, chance)


def test_training_and_held_out_share_no_scene(takes):
    rows = [
        {
            "label": take.label,
            "held_out": take.stage.held_out,
            "traits": {
                **{f"scene.{k}": v for k, v in take.performance.traits.items()},
                **{f"film.{k}": v for k, v in take.nuisances.traits.items()},
            },
        }
        for take in takes
    ]
    shared = {
        label: {trait: values for trait, values in traits.items() if trait not in MAY_BE_SHARED}
        for label, traits in shared_traits(rows).items()
    }
    assert {label: traits for label, traits in shared.items() if traits} == {}
    for label in AFD_CLASSES:
        assert any(row["label"] == label and len(row["traits"]) > 7 for row in rows)


def test_nothing_of_a_recording_is_the_same_in_another(takes):
    for label in IMPACT_CLASSES:
        own = [take for take in takes if take.label == label]
        firsts = [take.performance.events[0].time_s for take in own if take.performance.events]
        assert len(firsts) == len(own)
        assert np.std(firsts) > 0.1
        counts = {len(take.performance.events) for take in own}
        assert len(counts) > 3


def test_events_are_in_the_picture(takes):
    rows = [row for take in takes for row in truth_of(take)[0]]
    outside = [row for row in rows if not (0 <= row.x <= 1 and 0 <= row.y <= 1)]
    assert len(outside) <= 0.01 * len(rows), outside
    assert all(0 < row.force <= 1 for row in rows)


def test_the_picture_changes_when_it_sounds(takes):
    for label in IMPACT_CLASSES:
        own = [take for take in takes if take.label == label][:3]
        pairs = np.array([change_at_events(take) for take in own])
        ratios = pairs[:, 0] / pairs[:, 1]
        assert np.nanmedian(ratios) > 1.2, (label, ratios)


def test_the_sound_is_where_the_truth_says(recordings):
    folder, rows = recordings
    by_class = {}
    for facts in rows:
        if facts["label"] in IMPACT_CLASSES:
            by_class.setdefault(facts["label"], []).append(onset_errors(facts, folder))
    for label, errors in by_class.items():
        together = np.concatenate(errors)
        assert together.size > 0, label
        assert np.mean(np.abs(together) < 0.005) >= 0.9, (label, together)
        assert abs(float(np.median(together))) < 0.002, label


def test_it_can_be_looked_at(recordings, tmp_path: Path):
    folder, rows = recordings
    contact_sheet(rows[:4], folder, tmp_path / "named.png", labelled=True)
    contact_sheet(rows[:4], folder, tmp_path / "hidden.png", labelled=False)
    spectrogram_panels(rows[:3], folder, tmp_path / "spectrograms.png")
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"named.png", "hidden.png", "spectrograms.png"}
    assert min(sizes.values()) > 10_000
    assert (tmp_path / "named.png").read_bytes() != (tmp_path / "hidden.png").read_bytes()
