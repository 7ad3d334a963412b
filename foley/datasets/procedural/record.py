"""The microphone: mixes the sound of a performance in a room."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from foley.datasets.procedural.bank import Bank, choke, choose_takes, loop, match_level
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Performance, Wave
from foley.datasets.procedural.sound import add_at


@dataclass(frozen=True)
class Room:
    """Where and with what the sound is recorded.

    Parameters
    ----------
    kind : str
        ``open``, ``small`` or ``large``.
    reverberation_s : float
        Time in which the room's tail falls by 60 dB.
    direct_db : float
        Direct sound over reverberation in dB.
    low_cut_hz, high_cut_hz : float
        Range of the microphone.
    tilt : float
        Share of the sound above 2 kHz that is added (> 0) or taken away (< 0).
    peak_db : float
        Largest sample of the recording in dB below full scale.
    hiss_db : float
        Noise of the microphone below the recording's peak, in dB.
    """

    kind: str
    reverberation_s: float
    direct_db: float
    low_cut_hz: float
    high_cut_hz: float
    tilt: float
    peak_db: float
    hiss_db: float


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a room and a microphone, without knowing the class."""
    kind = str(rng.choice(["open", "small", "large"], p=[0.35, 0.45, 0.2]))
    tail = {"open": (0.05, 0.15), "small": (0.15, 0.45), "large": (0.5, 1.1)}[kind]
    return Room(
        kind=kind,
        reverberation_s=float(rng.uniform(*tail)),
        direct_db=float(rng.uniform(8, 20)),
        low_cut_hz=float(rng.uniform(25, 110)),
        high_cut_hz=float(rng.uniform(9_000, 20_000)),
        tilt=float(rng.uniform(-0.45, 0.5)),
        peak_db=float(rng.uniform(-12, -1)),
        hiss_db=float(rng.uniform(-80, -58)),
    )


def dry_sound(
    performance: Performance, duration_s: float, rng: np.random.Generator, bank: Bank | None
) -> Wave:
    """Put the sound of every event and the bed on one track, without room and microphone.

    Parameters
    ----------
    performance : Performance
        Events and their sounds.
    duration_s : float
        Length of the track.
    rng : numpy.random.Generator
        Variation between hits, choice of takes.
    bank : Bank or None
        Recordings that replace the synthetic sounds; each take gets the level of the synthetic hit
        that it stands for, each loop the level and the intensity curve of the synthetic bed.

    Returns
    -------
    ndarray of float32, shape (round(duration_s * 48000),)
    """
    track: Wave = np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)
    hits = [performance.hit(event, rng) for event in performance.events]
    if bank is not None:
        order = choose_takes(len(hits), len(bank.takes), rng)
        heard = [event.heard_s for event in performance.events]
        rooms = np.diff(np.array([*heard, duration_s]))
        hits = [
            choke(match_level(bank.takes[k], hit), float(room))
            for k, hit, room in zip(order, hits, rooms, strict=True)
        ]
    for event, hit in zip(performance.events, hits, strict=True):
        add_at(track, hit, event.heard_s)
    if performance.bed is not None:
        bed = performance.bed(rng, track.size)
        if bank is not None and bank.bed is not None:
            bed = _banked_bed(performance, bed, bank.bed, rng)
        track += bed
    return track


def _banked_bed(performance: Performance, synthetic: Wave, recording: Wave, rng: np.random.Generator) -> Wave:
    looped = loop(recording, synthetic.size, rng)
    level = float(np.sqrt(np.mean(synthetic.astype(np.float64) ** 2)))
    if performance.intensity is None:
        return np.asarray(looped * level, dtype=np.float32)
    coarse_s = np.arange(0, synthetic.size / SAMPLE_RATE_HZ + 0.02, 0.02)
    curve = np.asarray(performance.intensity(coarse_s), dtype=np.float64)
    gain = np.interp(np.arange(synthetic.size) / SAMPLE_RATE_HZ, coarse_s, curve)
    shaped = looped * gain
    own = float(np.sqrt(np.mean(shaped**2)))
    return np.asarray(shaped * (level / own if own > 0 else 0.0), dtype=np.float32)


def record(
    dry: Wave,
    room: Room,
    positions: NDArray[np.float64] | None,
    off_screen: Wave | None,
    snr_db: float,
    n_channels: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Record a dry track with a room, a microphone and perhaps something off screen.

    Parameters
    ----------
    dry : ndarray of float32, shape (n,)
        Track at 48 kHz.
    room : Room
        Room and microphone.
    positions : ndarray of float64, shape (n_events,), or None
        Where events are, -1 (left) to 1 (right); their mean sets the place in the stereo picture.
    off_screen : ndarray of float32, shape (n,), or None
        Other sound, mixed at `snr_db` (RMS over the recording) before the microphone.
    snr_db : float
        Level of `dry` over `off_screen` in dB.
    n_channels : int
        1 or 2.
    rng : numpy.random.Generator
        Reflections and hiss.

    Returns
    -------
    ndarray of float32, shape (n, n_channels)
        The direct sound is not delayed, in any channel: an event is heard at its time. Largest
        sample at ``room.peak_db``.
    """
    source = dry if off_screen is None else dry + _at_snr(off_screen, dry, snr_db)
    source = _microphone(source, room)
    pan = 0.5 * float(np.mean(positions)) if positions is not None and len(positions) else 0.0
    sides = [0.0] if n_channels == 1 else [-1.0, 1.0]
    channels = []
    for side in sides:
        wet = fftconvolve(source, _tail(room, rng))[: source.size]
        hiss = rng.standard_normal(source.size, dtype=np.float32)
        gain = np.sqrt((1 + side * pan) / 2) * np.sqrt(2) if n_channels == 2 else 1.0
        mixed = source * gain + wet
        channels.append(mixed + hiss * np.abs(mixed).max(initial=0.0) * 10 ** (room.hiss_db / 20))
    out = np.stack(channels, axis=1)
    top = float(np.abs(out).max(initial=0.0))
    return np.asarray(out * (10 ** (room.peak_db / 20) / top if top > 0 else 0.0), dtype=np.float32)


def _at_snr(other: Wave, wanted: Wave, snr_db: float) -> NDArray[np.float32]:
    power = float(np.mean(wanted.astype(np.float64) ** 2))
    own = float(np.mean(other.astype(np.float64) ** 2))
    gain = np.sqrt(power / own) * 10 ** (-snr_db / 20) if own > 0 else 0.0
    return np.asarray(other * gain, dtype=np.float32)


def _microphone(source: NDArray[np.float32], room: Room) -> NDArray[np.float32]:
    """Minimum-phase filters of low order: they delay an attack by well under 0.2 ms."""
    nyquist = SAMPLE_RATE_HZ / 2
    shelf = sosfilt(butter(1, 2_000 / nyquist, "highpass", output="sos"), source)
    sound = source + room.tilt * shelf
    sound = sosfilt(butter(1, room.low_cut_hz / nyquist, "highpass", output="sos"), sound)
    if room.high_cut_hz < nyquist * 0.95:
        sound = sosfilt(butter(2, room.high_cut_hz / nyquist, "lowpass", output="sos"), sound)
    return np.asarray(sound, dtype=np.float32)


def _tail(room: Room, rng: np.random.Generator) -> NDArray[np.float32]:
    """Impulse response without the direct sound: early reflections and a decaying diffuse tail."""
    n = round(room.reverberation_s * SAMPLE_RATE_HZ)
    t = np.arange(n) / SAMPLE_RATE_HZ
    gap_s = {"open": 0.004, "small": 0.002, "large": 0.008}[room.kind]
    diffuse = (
        rng.standard_normal(n) * np.exp(-6.9 * t / room.reverberation_s) * np.minimum(t / (4 * gap_s), 1)
    )
    for delay_s in gap_s + rng.exponential(3 * gap_s, 6):
        at = round(delay_s * SAMPLE_RATE_HZ)
        if at < n:
            diffuse[at] += rng.choice([-1, 1]) * 6 * np.exp(-6.9 * delay_s / room.reverberation_s)
    energy = float(np.sum(diffuse**2))
    return np.asarray(diffuse * np.sqrt(10 ** (-room.direct_db / 10) / max(energy, 1e-12)), dtype=np.float32)
