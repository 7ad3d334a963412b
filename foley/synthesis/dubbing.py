"""A new sound for a film of any length, by a model that makes a few seconds at a time.

The film is read once, from start to end, in overlapping windows of the model's clip length. Each
window goes the way of a training clip: pictures decoded by their time stamps, interpolated and
stacked, or made into optical flow, looked at by the image networks, and turned into sound by the
model. Windows are joined where they overlap. No more than a few windows are ever in memory, whatever
the length of the film.

Decisions that the papers leave open:

- Windows lie evenly, the first at the start and the last at the end of the film; in a film shorter
  than a window, the last picture is held. A model knows least at the two ends of its clip, so that
  the join lies in the middle of the overlap and its outer parts are not heard.
- Joins fade with equal power if the two sounds are unrelated, linearly if they are the same, and
  in between by their correlation: neither a dip nor a bump.
- The class of a window is that with the highest probability averaged over it (double weight) and
  its neighbours, and changes only if the new class is clearly ahead, so that it does not flicker.
- De-noising and peak-match, where the model's experiment asks for them, are done window by window, and
  peak-match leaves each window's peak where it was.
- The sound keeps the scale that the model gives it. Only if its true peak would exceed -1 dBTP
  the whole film is lowered, by one gain.
- Seed 0 starts Griffin-Lim as in the evaluation. Every other seed draws the starting phase, and
  whatever else the model draws: another take of the same events.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foley.errors import ConfigError, MediaError, StoreError
from foley.features.audio import RepresentationConfig
from foley.features.onsets import detect_onsets
from foley.features.visual import (
    Backbone,
    BackboneConfig,
    feature_frames,
    flow_features,
    frames_looked_at,
    load_backbone,
)
from foley.media.ffmpeg import MediaFacts, probe, shown
from foley.media.reasons import Reason
from foley.media.video import ShownPicture, iterate_pictures
from foley.models.base import Batch, Prediction, System
from foley.models.vocoders.base import Vocoder
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.interpolation import InterpolationConfig, interpolate_clip, target_times
from foley.preprocess.optical_flow import flow_clip, on_screen, to_grey
from foley.preprocess.spacetime import SpacetimeConfig, image_frames, make_images
from foley.seeds import derive_seed, numpy_generator
from foley.store.files import atomic_path
from foley.synthesis.config import GRIFFIN_LIM, SynthesisConfig
from foley.synthesis.finishing import References, finish, open_references
from foley.synthesis.generate import to_waveform
from foley.synthesis.levels import LoudnessMeter, PeakMeter
from foley.synthesis.vocoding import load_vocoder
from foley.training.checkpoint import load_system
from foley.training.experiment import use_threads

Waveform = NDArray[np.float32]
Picture = NDArray[np.uint8]
Look = Callable[[ShownPicture], Picture]
"""What is kept of a decoded picture."""

_COLOUR = "colour"
_SLACK_S = 1e-6
_MOST_WAV_BYTES = 2**32 - 2**16


class DubConfig(BaseModel):
    """How windows are laid, joined and named, and how the sound is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_rate_hz: int = Field(48_000, ge=8000, description="of the new sound; films use 48 kHz")
    overlap_s: float = Field(0.4, gt=0, description="least overlap of windows, at most a quarter of one")
    fade_s: float = Field(0.2, gt=0, description="length of a join, at most half of the overlap")
    stay: float = Field(1.5, ge=1, description="a new class needs this many times the old one's probability")
    ceiling_dbtp: float = Field(-1.0, le=0, description="highest true peak")
    cue_block_s: float = Field(20.0, ge=1, description="cues are looked for in pieces of this length")
    cue_floor_db: float = Field(-60.0, lt=0, description="quieter onsets give no cue, dB of full scale")


@dataclass(frozen=True)
class View:
    """One visual feature of a model: which pictures, and which network looks at them.

    Parameters
    ----------
    name : str
        ``<backbone>/<interpolation>/<frames|spacetime>`` or ``<backbone>/<flow>/flow``.
    backbone : BackboneConfig
    source : InterpolationConfig or FlowConfig
        How its pictures, or its maps of optical flow, are made.
    """

    name: str
    backbone: BackboneConfig
    source: InterpolationConfig | FlowConfig

    @property
    def kind(self) -> str:
        """``frames``, ``spacetime`` or ``flow``."""
        return self.name.split("/")[2]

    @property
    def source_name(self) -> str:
        """Name of the interpolation, or of the flow."""
        return self.name.split("/")[1]

    @property
    def network_name(self) -> str:
        """Views of one name share a network; one that looks at flow is not the one for pictures."""
        return self.name if isinstance(self.source, FlowConfig) else self.name.split("/")[0]

    @property
    def look_name(self) -> str:
        """Views of one name look at the same decoded pictures."""
        return f"grey/{self.source_name}" if isinstance(self.source, FlowConfig) else _COLOUR


@dataclass(frozen=True)
class Dubber:
    """A trained model with everything that a film needs to pass on its way to sound.

    Parameters
    ----------
    system : System
        In evaluation mode.
    views : tuple of View
        In the order of the system's inputs.
    networks : dict
        Image networks by :attr:`View.network_name`.
    spacetime, representation, synthesis
        As in training.
    size_px : int
        Side of decoded pictures.
    device : str
    vocoder : Vocoder or None
        What makes sound of spectrograms in place of Griffin-Lim.
    references : References or None
        What peak-match takes its stretches from, where the model's experiment asks for it.
    """

    system: System
    views: tuple[View, ...]
    networks: dict[str, Backbone]
    spacetime: SpacetimeConfig
    representation: RepresentationConfig
    synthesis: SynthesisConfig
    size_px: int
    device: str
    vocoder: Vocoder | None = None
    references: References | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that the model knows."""
        return self.system.spec.classes

    @property
    def looks(self) -> dict[str, Look]:
        """What the views need of every decoded picture, by :attr:`View.look_name`."""
        return {view.look_name: _look(view, self.size_px) for view in self.views}


def _look(view: View, size_px: int) -> Look:
    source = view.source
    if isinstance(source, FlowConfig):
        return lambda picture: to_grey(picture.rgb(), source)
    return lambda picture: picture.rgb(size_px)


@dataclass(frozen=True)
class Window:
    """What was heard in a part of the film.

    Parameters
    ----------
    start_s, end_s : float
        From the middle of one join to the middle of the next.
    label : str
        Class that sounds; empty for a model without classes.
    confidence : float
        Probability of that class, averaged over neighbouring windows; also when the class was
        forced. NaN for a model without classes.
    """

    start_s: float
    end_s: float
    label: str
    confidence: float


@dataclass(frozen=True)
class Cue:
    """An onset in the new sound.

    Parameters
    ----------
    time_s : float
    timecode : str
        ``HH:MM:SS:FF`` of the picture on the screen.
    label, confidence
        Of its window.
    level_db : float
        Highest level of 10 ms within the first 50 ms, dB of full scale.
    """

    time_s: float
    timecode: str
    label: str
    confidence: float
    level_db: float


@dataclass(frozen=True)
class Dub:
    """What became of a film.

    Parameters
    ----------
    facts : MediaFacts
        Of the film.
    n_samples, sample_rate_hz : int
        Of the new sound, which is as long as the picture.
    windows : tuple of Window
    cues : tuple of Cue
    gain_db : float
        Below 0 where the sound had to be lowered.
    true_peak_dbtp : float
        Of what was written; minus infinity for silence.
    loudness_lufs : float or None
        Integrated; ``None`` for silence or under 0.4 s.
    """

    facts: MediaFacts
    n_samples: int
    sample_rate_hz: int
    windows: tuple[Window, ...]
    cues: tuple[Cue, ...]
    gain_db: float
    true_peak_dbtp: float
    loudness_lufs: float | None


def load_dubber(model_dir: str | Path, *, device: str = "cpu", n_threads: int = 1) -> Dubber:
    """Load a trained model and its image networks.

    Parameters
    ----------
    model_dir : path
        Folder with ``model.safetensors`` and ``model.json``. A vocoder is looked for where the workflow
        puts it: among the same data set's results.
    device : str
        ``cpu`` or ``cuda``.
    n_threads : int
        Threads on the CPU, for the whole process.

    Raises
    ------
    StoreError
        If a file is missing, damaged, or the model was stored without its pipeline.
    ConfigError
        If the device is not there, or the model cannot dub a film.
    """
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device {device!r} is not there; use cpu, or cuda on a machine that has it")
    facts_path = Path(model_dir) / "model.json"
    use_threads(n_threads)
    system, facts = load_system(Path(model_dir) / "model.safetensors", facts_path, device)
    if not system.trained:
        name = facts["config"]["system"]
        raise ConfigError(f"{shown(model_dir)}: system {name} learns nothing and cannot dub a film")
    try:
        pipeline, views = facts["pipeline"], _views(facts)
        dubber = Dubber(
            system=system,
            views=views,
            networks={},
            spacetime=SpacetimeConfig(**pipeline["spacetime"]),
            representation=RepresentationConfig(**pipeline["representation"]),
            synthesis=SynthesisConfig(**pipeline["synthesis"]),
            size_px=int(pipeline["size_px"]),
            device=device,
        )
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.error_count()} wrong values" if isinstance(error, ValidationError) else f"{error!r}"
        raise StoreError(
            f"{shown(facts_path)}: does not say how the model sees a film ({what}); train the model again "
            "(make tables)"
        ) from error
    networks: dict[str, Backbone] = {}
    for view in views:
        if view.network_name not in networks:
            bound_px = view.source.bound_px if isinstance(view.source, FlowConfig) else None
            networks[view.network_name] = load_backbone(
                view.backbone, device, n_threads=n_threads, bound_px=bound_px
            )
    return replace(
        dubber,
        networks=networks,
        vocoder=_vocoder(dubber, Path(model_dir)),
        references=_references(dubber, Path(model_dir)),
    )


def _vocoder(dubber: Dubber, model_dir: Path) -> Vocoder | None:
    """The vocoder that the model's sound goes through, if it does."""
    name = dubber.synthesis.vocoder
    if name == GRIFFIN_LIM:
        return None
    folder = (model_dir.resolve() / "../../../vocoders" / name).resolve()
    return load_vocoder(
        folder / "model.safetensors", folder / "model.json", dubber.representation, dubber.device
    )


def _references(dubber: Dubber, model_dir: Path) -> References | None:
    """Recordings for peak-match: the configured folder, or the data set's clips beside the model."""
    config = dubber.synthesis.peak_match
    if config is None:
        return None
    if not dubber.system.classifies and len(dubber.classes) > 1:
        raise ConfigError(
            f"{shown(model_dir)}: peak-match needs to know the class, which this model does not tell; use a "
            "model of one class"
        )
    data = (model_dir.resolve() / "../../..").resolve()
    rows, clips = data / "clips.tsv", data / "clips.h5"
    if config.references is None and not (rows.is_file() and clips.is_file()):
        raise ConfigError(
            f"{shown(clips)}: peak-match plays training clips, which are not there; set "
            "synthesis.peak_match.references to a folder of recordings and make the model again"
        )
    return open_references(config, dubber.system.spec.sample_rate_hz, [rows], [clips])


def _views(facts: dict[str, Any]) -> tuple[View, ...]:
    pipeline = facts["pipeline"]
    views = []
    for name in facts["config"]["visual"]:
        backbone, source, kind = name.split("/")
        made: InterpolationConfig | FlowConfig
        if kind == "flow":
            made = FlowConfig(**pipeline["flows"][source])
        elif kind in ("frames", "spacetime"):
            made = InterpolationConfig(**pipeline["interpolations"][source])
        else:
            raise ValueError(f"{name}: no such kind of pictures")
        views.append(View(name, BackboneConfig(**pipeline["backbones"][backbone]), made))
    return tuple(views)


def window_starts(n_samples: int, n_window: int, n_overlap: int) -> list[int]:
    """Lay windows evenly over a film.

    Parameters
    ----------
    n_samples : int
        Length of the film's sound.
    n_window : int
        Length of a window.
    n_overlap : int
        Least overlap of neighbours.

    Returns
    -------
    list of int
        First sample of each window: 0 first; the last window ends with the film, unless the film
        is shorter than it.

    Examples
    --------
    >>> window_starts(100, 40, 10)
    [0, 30, 60]
    >>> window_starts(30, 40, 10)
    [0]
    """
    beyond = n_samples - n_window
    if beyond <= 0:
        return [0]
    n_more = -(-beyond // (n_window - n_overlap))
    return [round(index * beyond / n_more) for index in range(n_more + 1)]


def cross_fade(ending: NDArray[Any], beginning: NDArray[Any]) -> Waveform:
    """Go from one sound to another at constant power, whatever they have in common.

    Sine and cosine gains are divided by the root of the power that they would give to sounds of
    this correlation: unrelated sounds get the equal-power fade, equal ones are left as they are.

    Parameters
    ----------
    ending, beginning : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    ending, beginning = np.asarray(ending, dtype=np.float64), np.asarray(beginning, dtype=np.float64)
    size = np.sqrt((ending @ ending) * (beginning @ beginning))
    # Opposite sounds would need unbounded gains: they count as unrelated.
    related = max(0.0, float(ending @ beginning / size)) if size > 0 else 0.0
    angle = (np.arange(len(ending)) + 0.5) / max(len(ending), 1) * np.pi / 2
    falling, rising = np.cos(angle), np.sin(angle)
    power = 1 + 2 * related * falling * rising
    return np.asarray((falling * ending + rising * beginning) / np.sqrt(power), dtype=np.float32)


def joins(starts: Sequence[int], n_window: int, n_fade: int) -> list[int]:
    """First sample of every join: the fade lies in the middle of the overlap."""
    return [(earlier + n_window + later - n_fade) // 2 for earlier, later in pairwise(starts)]


def overlap_add(
    waveforms: Iterator[Waveform], starts: Sequence[int], n_samples: int, n_fade: int
) -> Iterator[Waveform]:
    """Join the windows' sounds as they come.

    Parameters
    ----------
    waveforms : iterator of ndarray of float32, shape (n_window,)
        One for each start; all of one length.
    starts : sequence of int
        From :func:`window_starts`.
    n_samples : int
        Length of the whole.
    n_fade : int
        Length of a join.

    Yields
    ------
    ndarray of float32, shape (n,)
        Pieces that laid end to end are the whole, `n_samples` long.
    """
    tail: Waveform | None = None
    faded_to = 0
    for index, waveform in enumerate(waveforms):
        start = starts[index]
        if tail is not None:
            yield cross_fade(tail, waveform[faded_to - n_fade - start : faded_to - start])
        is_last = index + 1 == len(starts)
        end = n_samples if is_last else joins(starts[index : index + 2], len(waveform), n_fade)[0]
        yield waveform[faded_to - start : end - start]
        tail = waveform[end - start : end - start + n_fade]
        faded_to = end + n_fade


def picture_windows(
    path: str | Path, starts_s: Sequence[float], duration_s: float, looks: Mapping[str, Look]
) -> Iterator[tuple[dict[str, Picture], NDArray[np.float64]]]:
    """Decode a film once and give the pictures of one window after the other.

    Parameters
    ----------
    path : path
    starts_s : sequence of float
        Increasing, on the picture's clock.
    duration_s : float
        Length of a window.
    looks : mapping
        What to keep of every picture while it is decoded, by name.

    Yields
    ------
    seen : dict of str to ndarray of uint8, each (n, ...)
        By the names of `looks`; from the picture that is on the screen at the start to the first one
        after the end, where there is one.
    times_s : ndarray of float64, shape (n,)
        Relative to the window's start.

    Raises
    ------
    MediaError
        As :func:`foley.media.video.iterate_pictures`.
    """
    held: deque[tuple[float, dict[str, Picture]]] = deque()
    pictures = iterate_pictures(path)
    with closing(cast(Any, pictures)):
        for start_s in starts_s:
            while not held or held[-1][0] < start_s + duration_s:
                following = next(pictures, None)
                if following is None:
                    break
                held.append((following.time_s, {name: look(following) for name, look in looks.items()}))
                _drop_past(held, start_s)
            if not held:
                raise MediaError(
                    Reason.DECODE_ERROR, f"{shown(path)}: no picture can be decoded; fetch the file again"
                )
            _drop_past(held, start_s)
            times_s = np.array([time_s for time_s, _ in held], dtype=np.float64)
            seen = {name: np.stack([kept[name] for _, kept in held]) for name in looks}
            yield seen, times_s - start_s


def _drop_past(held: deque[tuple[float, dict[str, Picture]]], start_s: float) -> None:
    """Forget pictures that have left the screen by `start_s`."""
    while len(held) > 1 and held[1][0] <= start_s + _SLACK_S:
        held.popleft()


def window_features(
    seen: Mapping[str, Picture], times_s: NDArray[np.float64], dubber: Dubber
) -> tuple[NDArray[np.float16], ...]:
    """Look at one window as training looked at its clips.

    Parameters
    ----------
    seen : mapping of str to ndarray of uint8, each (n, ...)
        By :attr:`View.look_name`.
    times_s : ndarray of float64, shape (n,)
        As :func:`picture_windows` gives them.
    dubber : Dubber

    Returns
    -------
    tuple of ndarray of float16, each (n_steps, dim)
        One for each of the model's inputs; the numbers are those of
        :func:`foley.features.streaming.extract_streamed`, and of
        :func:`foley.features.visual.extract_flow_shard`.
    """
    duration_s = dubber.system.spec.duration_s
    interpolated: dict[str, Picture] = {}
    features = []
    for view in dubber.views:
        network, pictures = dubber.networks[view.network_name], seen[view.look_name]
        if isinstance(view.source, FlowConfig):
            grey = pictures[on_screen(times_s, view.source, duration_s)]
            maps = flow_clip(grey, view.source, dubber.device)
            features.append(flow_features(maps, view.backbone, network)[0])
            continue
        if view.source_name not in interpolated:
            interpolated[view.source_name] = _interpolated(pictures, times_s, view, dubber)
        pictures = interpolated[view.source_name]
        rows = feature_frames(len(pictures), view.backbone)
        if view.kind == "spacetime":
            rows = np.searchsorted(image_frames(len(pictures), dubber.spacetime), rows)
            pictures = make_images(pictures, dubber.spacetime)
        features.append(network(pictures[rows]))
    return tuple(features)


def _interpolated(frames: Picture, times_s: NDArray[np.float64], view: View, dubber: Dubber) -> Picture:
    """Make the pictures that any view of the same interpolation looks at."""
    duration_s = dubber.system.spec.duration_s
    n_frames = len(target_times(duration_s, view.source.fps))
    same = [
        other
        for other in dubber.views
        if (other.source_name, other.source) == (view.source_name, view.source)
    ]
    wanted = [frames_looked_at(n_frames, other.kind, other.backbone, dubber.spacetime) for other in same]
    return interpolate_clip(
        frames,
        times_s,
        duration_s=duration_s,
        config=cast(InterpolationConfig, view.source),
        wanted=np.unique(np.concatenate(wanted)),
    )


def steady_class(
    probabilities: Sequence[NDArray[np.float64]], before: int | None, stay: float
) -> tuple[int, NDArray[np.float64]]:
    """Choose the class of a window so that it does not flicker.

    Parameters
    ----------
    probabilities : sequence of ndarray of float, each (n_classes,)
        Of the window and of its neighbours where there are any, each multiplied by its weight.
    before : int or None
        Class of the window before.
    stay : float
        How many times the old class's probability a new one needs.

    Returns
    -------
    chosen : int
    averaged : ndarray of float64, shape (n_classes,)
        Sums to 1.

    Examples
    --------
    >>> steady_class([np.array([0.6, 0.4])], 1, 2.0)[0]
    1
    >>> steady_class([np.array([0.6, 0.4])], None, 2.0)[0]
    0
    """
    total = np.sum(probabilities, axis=0)
    averaged = np.asarray(total / total.sum(), dtype=np.float64)
    best = int(averaged.argmax())
    if before is not None and averaged[best] < stay * averaged[before]:
        best = before
    return best, averaged


@dataclass(frozen=True)
class _Seen:
    """A window that the model has looked at, but whose class is not settled yet."""

    batch: Batch
    prediction: Prediction
    probabilities: NDArray[np.float64] | None


def _see(features: tuple[NDArray[np.float16], ...], dubber: Dubber, generator: torch.Generator) -> _Seen:
    visual = tuple(torch.from_numpy(part.astype(np.float32))[None].to(dubber.device) for part in features)
    batch = Batch(visual, torch.full((1,), -1, device=dubber.device))
    with torch.no_grad():
        prediction = dubber.system.predict(batch, generator)
    found = prediction.probabilities
    return _Seen(batch, prediction, None if found is None else found[0].double().cpu().numpy())


def _with_neighbours(items: Iterator[_Seen]) -> Iterator[tuple[_Seen | None, _Seen, _Seen | None]]:
    before: _Seen | None = None
    current = next(items, None)
    while current is not None:
        after = next(items, None)
        yield before, current, after
        before, current = current, after


def _sounds(
    seen: Iterator[_Seen],
    dubber: Dubber,
    config: DubConfig,
    forced: int | None,
    seed: int,
    heard: list[tuple[str, float]],
) -> Iterator[Waveform]:
    """Settle each window's class and make its sound; says in `heard` what it settled on."""
    chosen: int | None = None
    for index, (before, now, after) in enumerate(_with_neighbours(seen)):
        averaged = None
        if now.probabilities is not None:
            weighted = [
                weight * window.probabilities
                for window, weight in ((before, 1.0), (now, 2.0), (after, 1.0))
                if window is not None and window.probabilities is not None
            ]
            steady, averaged = steady_class(weighted, chosen, config.stay)
            chosen = steady if forced is None else forced
        if averaged is None or chosen is None:
            heard.append(("", float("nan")))
        else:
            heard.append((dubber.classes[chosen], float(averaged[chosen])))
        yield _sound(now, dubber, chosen, seed, index)


def _sound(now: _Seen, dubber: Dubber, chosen: int | None, seed: int, index: int) -> Waveform:
    prediction = now.prediction
    if now.probabilities is not None and chosen is not None and chosen != int(now.probabilities.argmax()):
        batch = replace(now.batch, forced=torch.full((1,), chosen, device=dubber.device))
        generator = torch.Generator(dubber.device).manual_seed(derive_seed(seed, "dub", index))
        with torch.no_grad():
            prediction = dubber.system.predict(batch, generator)
    if prediction.waveform is not None:
        made = np.asarray(prediction.waveform[0].cpu().numpy(), dtype=np.float32)
    elif prediction.spectrogram is None:
        raise ConfigError("this model recognises classes but makes no sound; give one that does")
    else:
        synthesis = dubber.synthesis if seed == 0 else dubber.synthesis.model_copy(update={"phase": "random"})
        made = to_waveform(
            prediction.spectrogram[0].cpu().numpy(),
            dubber.representation,
            synthesis,
            numpy_generator(seed, "dub", index),
            limit=False,
            vocoder=dubber.vocoder,
        )
    return finish(
        made,
        dubber.system.spec.sample_rate_hz,
        dubber.synthesis,
        dubber.references,
        dubber.classes[chosen or 0] if dubber.classes else "",
        numpy_generator(seed, "reference", index),
        keep_level=True,
    )


def forced_class(dubber: Dubber, label: str | None) -> int | None:
    """Index of a class that a person names.

    Raises
    ------
    ConfigError
        If the model does not know it; lists what it knows. Also for a model that recognises no class.
    """
    if label is None:
        return None
    if not dubber.system.classifies:
        raise ConfigError("this model tells no classes apart, so that none can be named; leave out --class")
    if label not in dubber.classes:
        raise ConfigError(f"the model knows no class {label!r}; it knows {', '.join(dubber.classes)}")
    return dubber.classes.index(label)


def dub_sound(
    video: str | Path,
    wav: str | Path,
    dubber: Dubber,
    *,
    config: DubConfig | None = None,
    label: str | None = None,
    seed: int = 0,
    on_progress: Callable[[float, float], None] | None = None,
) -> Dub:
    """Make the sound of a film.

    Parameters
    ----------
    video : path
        Film of any length, frame rate, size and rotation; its own sound is not listened to.
    wav : path
        24-bit mono WAV file to write, whole or not at all; exactly
        ``round(duration of the picture * sample_rate_hz)`` samples.
    dubber : Dubber
    config : DubConfig, optional
    label : str or None
        Class that sounds throughout; by default what the model sees.
    seed : int
        Another seed, another take (see the module).
    on_progress : callable, optional
        Told (seconds done, seconds in all).

    Returns
    -------
    Dub

    Raises
    ------
    MediaError
        ``no_video``, ``too_short`` for a picture without length, and what decoding can raise.
    ConfigError
        For an unknown class, and for a model that makes no sound.
    """
    config = config or DubConfig()
    forced = forced_class(dubber, label)
    facts = probe(video)
    if not facts.has_video:
        raise MediaError(Reason.NO_VIDEO, f"{shown(video)}: has no picture to put sound to; give a video")
    n_out = round(facts.duration_s * config.sample_rate_hz)
    if n_out < 1:
        raise MediaError(Reason.TOO_SHORT, f"{shown(video)}: its picture lasts no time; give a longer film")
    spec = dubber.system.spec
    rate, n_window = spec.sample_rate_hz, spec.n_samples
    n_samples = -(-n_out * rate // config.sample_rate_hz)
    n_overlap = min(round(config.overlap_s * rate), n_window // 4)
    n_fade = min(round(config.fade_s * rate), n_overlap // 2)
    starts = window_starts(n_samples, n_window, n_overlap)
    windows = picture_windows(video, [start / rate for start in starts], spec.duration_s, dubber.looks)

    def seen() -> Iterator[_Seen]:
        for index, window in enumerate(windows):
            generator = torch.Generator(dubber.device).manual_seed(derive_seed(seed, "dub", index))
            yield _see(window_features(*window, dubber), dubber, generator)
            if on_progress is not None:
                on_progress(min(starts[index] + n_window, n_samples) / rate, n_samples / rate)

    heard: list[tuple[str, float]] = []
    sounds = _sounds(seen(), dubber, config, forced, seed, heard)
    pieces = overlap_add(sounds, starts, n_samples, n_fade)
    wav = Path(wav)
    wav.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".foley-", dir=wav.parent) as folder:
        raw = Path(folder) / "sound.f32"
        peak = _write_raw(raw, _resampled(pieces, rate, config.sample_rate_hz, n_out), config.sample_rate_hz)
        gain = min(1.0, 10 ** (config.ceiling_dbtp / 20) / peak) if peak > 0 else 1.0
        loudness_lufs = _write_wav(wav, raw, gain, n_out, config.sample_rate_hz)
    middles = [(join + n_fade / 2) / rate for join in joins(starts, n_window, n_fade)]
    edges_s = [0.0, *middles, n_out / config.sample_rate_hz]
    named = tuple(Window(edges_s[i], edges_s[i + 1], *what) for i, what in enumerate(heard))
    return Dub(
        facts=facts,
        n_samples=n_out,
        sample_rate_hz=config.sample_rate_hz,
        windows=named,
        cues=tuple(find_cues(wav, named, facts.fps, config)),
        gain_db=_decibels(gain),
        true_peak_dbtp=_decibels(peak * gain),
        loudness_lufs=loudness_lufs,
    )


def _resampled(pieces: Iterator[Waveform], rate_hz: int, wanted_hz: int, n_out: int) -> Iterator[Waveform]:
    """Change the rate of a sound that comes in pieces; gives exactly `n_out` samples."""
    resampler = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32", quality="HQ")
    n_given = 0
    for piece in pieces:
        made = resampler.resample_chunk(np.ascontiguousarray(piece))[: n_out - n_given]
        n_given += len(made)
        yield made
    made = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)[: n_out - n_given]
    n_given += len(made)
    yield np.concatenate([made, np.zeros(n_out - n_given, dtype=np.float32)])


def _write_raw(path: Path, pieces: Iterator[Waveform], sample_rate_hz: int) -> float:
    """Write float samples at true scale, and return their true peak."""
    meter = PeakMeter(sample_rate_hz)
    with path.open("wb") as stream:
        for piece in pieces:
            stream.write(piece.tobytes())
            meter.add(piece)
    meter.add(np.zeros(0, dtype=np.float32), last=True)
    return meter.peak


def _write_wav(wav: Path, raw: Path, gain: float, n_samples: int, sample_rate_hz: int) -> float | None:
    """Write the samples with one gain as 24-bit PCM, and return their loudness."""
    meter = LoudnessMeter(sample_rate_hz)
    kind = "WAV" if 3 * n_samples < _MOST_WAV_BYTES else "RF64"
    with (
        atomic_path(wav) as temporary,
        raw.open("rb") as source,
        temporary.open("wb") as stream,
        soundfile.SoundFile(stream, "w", sample_rate_hz, 1, subtype="PCM_24", format=kind) as sound,
    ):
        while len(piece := np.frombuffer(source.read(4 * 10 * sample_rate_hz), dtype=np.float32)):
            lowered = piece * np.float32(gain)
            meter.add(lowered)
            sound.write(lowered)
    return meter.integrated_lufs()


def timecode(time_s: float, fps: float) -> str:
    """Name the picture on the screen at an instant, non-drop.

    Parameters
    ----------
    time_s : float
        From the first picture, which is 00:00:00:00.
    fps : float
        Rate of the film (its mean, where it varies). Counting is by the nearest whole rate, as
        non-drop time code does: at 29.97 it runs behind the clock.

    Examples
    --------
    >>> timecode(61.5, 24.0)
    '00:01:01:12'
    """
    frame = int(time_s * fps + 1e-6)
    per_second = max(1, round(fps))
    seconds, rest = divmod(frame, per_second)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"


def find_cues(wav: str | Path, windows: Sequence[Window], fps: float, config: DubConfig) -> Iterator[Cue]:
    """Find the onsets of a sound file, a block at a time.

    Parameters
    ----------
    wav : path
        Mono.
    windows : sequence of Window
        Parts that cover it, in order.
    fps : float
        Rate of the film, for time codes.
    config : DubConfig

    Yields
    ------
    Cue
        In order.
    """
    ends_s = [window.end_s for window in windows]
    with soundfile.SoundFile(wav) as sound:
        rate = sound.samplerate
        n_block, n_margin = round(config.cue_block_s * rate), rate // 2
        for start in range(0, sound.frames, n_block):
            first = max(0, start - n_margin)
            sound.seek(first)
            block = sound.read(start + n_block + n_margin - first, dtype="float32")
            for onset_s in detect_onsets(block, rate):
                time_s = first / rate + float(onset_s)
                level_db = _attack_level_db(block[round(onset_s * rate) :][: rate // 20], rate)
                # The margins belong to the neighbouring blocks.
                if not start / rate <= time_s < (start + n_block) / rate or level_db < config.cue_floor_db:
                    continue
                window = windows[min(int(np.searchsorted(ends_s, time_s, "right")), len(windows) - 1)]
                yield Cue(time_s, timecode(time_s, fps), window.label, window.confidence, level_db)


def _attack_level_db(attack: Waveform, rate_hz: int) -> float:
    size = min(rate_hz // 100, len(attack))
    if size == 0:
        return float("-inf")
    power = np.convolve(attack.astype(np.float64) ** 2, np.full(size, 1 / size), "valid").max()
    return _decibels(float(np.sqrt(max(power, 0.0))))


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(amplitude)) if amplitude > 0 else float("-inf")


def write_cues(path: str | Path, cues: Sequence[Cue]) -> None:
    """Write a cue list: tab-separated ``time_s timecode class confidence level_db``, whole or not at all.

    Parameters
    ----------
    path : path
    cues : sequence of Cue
        A cue without a class has two empty fields.
    """
    lines = ["\t".join(("time_s", "timecode", "class", "confidence", "level_db"))]
    for cue in cues:
        confidence = "" if np.isnan(cue.confidence) else f"{cue.confidence:.3f}"
        lines.append(f"{cue.time_s:.4f}\t{cue.timecode}\t{cue.label}\t{confidence}\t{cue.level_db:.1f}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
