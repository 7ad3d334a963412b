"""V2RA-GAN: the shapes of both tables, the encoding of pictures, the rows of Table 7, and that it learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models import v2ra
from foley.models.base import Batch, DataSpec
from foley.models.v2ra_networks import (
    N_SLOTS,
    PRINTED_KERNELS,
    SAMPLE_RATE_HZ,
    DecoderKernels,
    Discriminator,
    Generator,
    LongFilter,
    encode_second,
    shown_at_s,
)
from foley.store.manifests import Clip
from foley.training.config import TrainingConfig
from foley.training.examples import Examples
from foley.training.loop import train
from tests.learnable import clip_row

DIM, HZ, SECONDS = 6, 30.0, 2
SPEC = DataSpec(("dog",), (DIM,), (60,), (HZ,), 10, 64, SAMPLE_RATE_HZ, float(SECONDS))

TABLE_1 = {
    "down": [(14700, 1), (4900, 2), (1225, 4), (245, 8), (49, 8), (7, 8), (1, 8)],
    "up": [(7, 8), (49, 8), (245, 8), (1225, 4), (4900, 2), (14700, 1)],
}
"""Steps and multiples of d; after the last layer of each side come samples and c = 1."""
TABLE_2 = [(11025, 1), (2756, 2), (689, 4), (688, 8), (687, 8)]
ROWS = {
    "full system": {},
    "z as input": {"noise_channel": True},
    "skip connections": {"skip": True},
    "no audio filter": {"audio_filter": False},
    "random crop": {"random_crop": True},
    "L1 + CE": {"adversarial": "cross_entropy"},
    "LS": {"l1_weight": 0},
    "L1": {"adversarial": "none"},
    "CE": {"adversarial": "cross_entropy", "l1_weight": 0},
}
"""Table 7; its row L1 + LS is the full system."""


def drawn(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(spec: DataSpec = SPEC, **settings: object) -> v2ra.System:
    torch.manual_seed(0)
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    return v2ra.System(v2ra.Config.model_validate({"width": 2, **settings}), spec, averages, drawn())


def batch(n: int = 2, seed: int = 1) -> Batch:
    generator = drawn(seed)
    visual = torch.rand(n, 60, DIM, generator=generator)
    time_s = torch.arange(SECONDS * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    waveform = 0.5 * torch.sin(2 * torch.pi * 300 * time_s).expand(n, -1) * visual[:, :1, 0]
    return Batch((visual,), torch.zeros(n, dtype=torch.long), None, waveform.contiguous())


def generator_of(width: int, kernels: DecoderKernels = "mirrored", **changes: bool) -> Generator:
    options = {"skip": False, "audio_filter": True, **changes}
    return Generator(width, n_inputs=1, dropout=0.5, kernels=kernels, **options)


def shapes(layers: nn.ModuleList, run: object) -> list[tuple[int, int]]:
    """Steps and channels that come out of each layer while `run` is called."""
    found: list[tuple[int, int]] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, made: found.append((made.shape[2], made.shape[1])))
        for layer in layers
    ]
    run()  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
    return found


def settled(system: v2ra.System) -> v2ra.System:
    """In evaluation mode, with the statistics of one batch: signals pass so many layers only with them."""
    norms = [module for module in system.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        system.train().generate(system.encoded(batch(4), torch.zeros(4, 1)), drawn())
    return system.eval()


def weights(module: nn.Module) -> int:
    """Weights of convolutions, biases left out."""
    return sum(value.numel() for value in module.parameters() if value.ndim == 3)


# The networks


@pytest.mark.parametrize(
    ("width", "kernels", "skip"),
    [(64, "mirrored", False), (2, "mirrored", True), (2, "printed", False), (2, "printed", True)],
)
def test_every_layer_of_table_1_has_its_printed_shape(
    width: int, kernels: DecoderKernels, skip: bool
) -> None:
    network = generator_of(width, kernels, skip=skip).eval()
    seen = torch.zeros(1, 1, SAMPLE_RATE_HZ)

    @torch.no_grad()
    def run() -> None:
        assert network(seen, drawn(), drop=False).shape == (1, 1, 44_100)

    assert shapes(network.down, run) == [(n, width * multiple) for n, multiple in TABLE_1["down"]]
    expected = [(n, width * multiple) for n, multiple in TABLE_1["up"]]
    assert shapes(network.up, run) == [*expected, (44_100, 1)]
    assert [layer.kernel_size[0] for layer in network.down] == [9, 9, 12, 15, 15, 21, 21]
    assert [layer.stride[0] for layer in network.down] == [3, 3, 4, 5, 5, 7, 7]
    lengths = [21, 21, 15, 15, 12, 9, 9] if kernels == "mirrored" else list(PRINTED_KERNELS)
    assert [layer.kernel_size[0] for layer in network.up] == lengths
    assert [layer.stride[0] for layer in network.up] == [7, 7, 5, 5, 4, 3, 3]


def test_every_layer_of_table_2_has_its_printed_shape() -> None:
    network, sound = Discriminator(64, one_score=False).eval(), torch.zeros(1, 1, SAMPLE_RATE_HZ)
    found = shapes(network.layers, lambda: network(sound, sound))
    assert found == [(n, 64 * multiple) for n, multiple in TABLE_2]
    assert network.layers[0].in_channels == 2
    assert Discriminator(2, one_score=True).eval()(sound, sound).shape == (1, 1, 687)


def test_the_networks_have_the_sizes_of_the_tables() -> None:
    with torch.device("meta"):
        # Tables 1 and 2 as printed: sums of kernel size times channels.
        assert weights(generator_of(64, "printed")) == 32_687_745
        assert weights(generator_of(64)) == 34_752_129
        assert weights(Discriminator(64, one_score=False)) == 2_230_272


def test_normalisation_spares_the_layers_that_the_paper_and_its_ancestors_spare() -> None:
    network, judge = generator_of(2), Discriminator(2, one_score=False)
    assert [norm.num_features for norm in network.down_norms] == [4, 8, 16, 16, 16, 16]  # not the first
    assert [norm.num_features for norm in network.up_norms] == [16, 16, 16, 8, 4, 2]  # not the last
    assert [norm.num_features for norm in judge.norms] == [4, 8, 16]  # neither first nor last
    assert network.filter is not None
    assert network.filter.bias is None


def test_the_filter_is_a_convolution() -> None:
    layer, values = LongFilter(513), torch.randn(2, 1, 4410, generator=drawn(), requires_grad=True)
    expected = functional.conv1d(values, layer.weight, padding=256)
    torch.testing.assert_close(layer(values), expected, rtol=1e-4, atol=1e-5)
    wanted = torch.randn(expected.shape, generator=drawn(6))
    slopes = [
        torch.autograd.grad((made * wanted).sum(), (values, layer.weight))
        for made in (layer(values), expected)
    ]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-3)


def test_a_single_second_can_be_learned_from() -> None:
    """Its bottleneck has one number a channel, of which batch normalisation knows no variance."""
    system = make().train()
    one = Batch((batch(1).visual[0],), torch.zeros(1, dtype=torch.long), None, batch(1).waveform)
    seen = system.encoded(one, torch.zeros(1, 1))
    assert torch.isfinite(system.generate(seen, drawn())).all()


def test_dropout_is_the_noise_of_learning_and_of_use_only_where_asked_for() -> None:
    seen = make().encoded(batch(), torch.zeros(2, 1))

    def differs(system: v2ra.System) -> bool:
        with torch.no_grad():
            made = [system.generate(seen, drawn(seed)) for seed in (1, 2, 1)]
        assert torch.equal(made[0], made[2])
        return not torch.equal(made[0], made[1])

    assert differs(make().train())
    assert not differs(make(dropout=0.0).train())
    assert not differs(settled(make()))
    assert differs(settled(make(dropout_in_use=True)))


# The encoding


def test_a_second_of_the_papers_features_is_exactly_as_long_as_its_sound() -> None:
    vectors = torch.rand(3, 10, 4096, generator=drawn()) + 0.1
    encoded = encode_second(vectors)
    assert encoded.shape == (3, 44_100)
    laid = encoded.reshape(3, 10, N_SLOTS)
    assert torch.equal(laid[..., :4096], vectors)
    assert laid[..., 4096:].shape[-1] == 314
    assert not laid[..., 4096:].any()


@pytest.mark.parametrize(("dim", "hold"), [(1, 4096), (512, 8), (1280, 3), (2048, 2), (4097, 1), (4410, 1)])
def test_numbers_of_narrow_features_are_held(dim: int, hold: int) -> None:
    vectors = torch.rand(10, dim, generator=drawn()) + 0.1
    laid = encode_second(vectors).reshape(10, N_SLOTS)
    assert torch.equal(laid[:, : dim * hold].reshape(10, dim, hold), vectors[..., None].expand(-1, -1, hold))
    assert not laid[:, dim * hold :].any()


def test_every_third_picture_stands_for_a_second() -> None:
    frames = shown_at_s(torch.tensor([0.0, 1.0], dtype=torch.float64)) * 30
    expected = [[number - 1 for number in range(3, 31, 3)], [number + 29 for number in range(3, 31, 3)]]
    np.testing.assert_allclose(frames.numpy(), expected, atol=1e-9)


def test_pictures_go_to_their_own_second_and_the_last_one_is_held() -> None:
    system, steps = make(), torch.arange(60, dtype=torch.float32)
    shown = Batch((steps[None, :, None].expand(1, -1, DIM),), torch.zeros(1, dtype=torch.long))
    system.prepare((shown.visual[0].numpy().astype(np.float16),))
    encoded = system.encoded(shown, torch.tensor([[0.0, 1.0, 1.5]])).reshape(3, 10, N_SLOTS)[..., 0] * 59
    for row, start in zip(encoded, (0, 30, 45), strict=True):
        expected = [min(start + number - 1, 59) for number in range(3, 31, 3)]
        np.testing.assert_allclose(row.numpy(), expected, atol=1e-4)


def test_the_input_is_within_one_as_measured_on_training_clips() -> None:
    system = make()
    loud = 7 * np.random.default_rng(0).standard_normal((3, 60, DIM)).astype(np.float16)
    system.prepare((loud,))
    assert float(system.largest) == np.abs(loud.astype(np.float32)).max()
    louder = Batch((torch.from_numpy(2 * loud.astype(np.float32)),), torch.zeros(3, dtype=torch.long))
    encoded = system.encoded(louder, torch.zeros(3, 1))
    assert float(encoded.max()) == 1
    assert float(encoded.min()) == -1


# Table 7


@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_table_7_differ_as_they_are_named(row: str) -> None:
    system, given = make(**ROWS[row]).train(), batch()
    assert system.generator.down[0].in_channels == (2 if row == "z as input" else 1)
    assert [layer.in_channels for layer in system.generator.up][1] == (
        32 if row == "skip connections" else 16
    )
    assert (system.generator.filter is None) == (row == "no audio filter")
    assert (system.discriminator is None) == (row == "L1")
    losses = {name: float(value.detach()) for name, value in system.losses(given, drawn()).items()}
    adversarial = losses.get("adversarial", 0.0)
    l1_weight = 0 if row in ("LS", "CE") else 100
    assert losses["total"] == pytest.approx(l1_weight * losses["l1"] + adversarial, rel=1e-5)


def test_losses_are_those_of_the_equations() -> None:
    scores = torch.tensor([-1.0, 0.5, 2.0])
    squares, entropies = make(), make(adversarial="cross_entropy")
    assert float(squares._judged(scores, recorded=True)) == pytest.approx((4 + 0.25 + 1) / 6)
    assert float(squares._judged(scores, recorded=False)) == pytest.approx((1 + 0.25 + 4) / 6)
    real = -np.log(1 / (1 + np.exp(-scores.numpy()))).mean()
    fake = -np.log(1 - 1 / (1 + np.exp(-scores.numpy()))).mean()
    assert float(entropies._judged(scores, recorded=True)) == pytest.approx(real, rel=1e-5)
    assert float(entropies._judged(scores, recorded=False)) == pytest.approx(fake, rel=1e-5)


def test_noise_is_heard_where_z_is_an_input() -> None:
    seen = make().encoded(batch(), torch.zeros(2, 1))
    with torch.no_grad():
        made = [settled(make(noise_channel=True)).generate(seen, drawn(seed)) for seed in (1, 2)]
    assert not torch.equal(*made)


def test_seconds_are_cut_one_by_one_or_anywhere_with_their_pictures() -> None:
    """Sound and pictures both count the time, so that what is learned together tells where it was cut."""
    times = torch.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    pictures = (torch.arange(60) / HZ)[None, :, None].expand(3, -1, DIM)
    given = Batch((pictures,), torch.zeros(3, dtype=torch.long), None, times.expand(3, -1))

    def cut(**settings: object) -> tuple[Tensor, Tensor]:
        system = make(**settings)
        system.largest.fill_(2.0)
        seen, sound = system._examples(given, drawn())
        return seen.reshape(6, 10, N_SLOTS)[..., 0] * 2, sound[:, 0]

    seen, sound = cut()
    assert torch.equal(sound, times.reshape(2, SAMPLE_RATE_HZ).repeat(3, 1))
    seen, sound = cut(random_crop=True)
    starts = sound[:, 0]
    assert len(set(starts.tolist())) == 6
    assert float(starts.min()) >= 0
    assert float(sound[:, -1].max()) < 2
    torch.testing.assert_close(seen, shown_at_s(starts), rtol=0, atol=0.5 / HZ + 1e-4)


@pytest.mark.parametrize(
    "settings", [{"n_components": 3}, {"adversarial": "none", "l1_weight": 0}, {"lambda": 1}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        v2ra.Config.model_validate(settings)


# Learning


def test_each_optimiser_changes_its_own_network_only() -> None:
    system, given = make(), batch()
    optimisers = system.optimisers(1e-3, 0.0)
    assert set(optimisers) == {"generator", "discriminator"}
    assert all(one.param_groups[0]["betas"] == (0.9, 0.999) for one in optimisers.values())
    before = {name: value.clone() for name, value in system.named_parameters()}
    optimisers["discriminator"].param_groups[0]["lr"] = 0.0
    system.train().step(given, optimisers, drawn(), None)
    for name, value in system.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("discriminator"), name


def test_the_discriminator_is_stepped_twice_for_one_step_of_the_generator() -> None:
    system, given = make(), batch()
    optimisers = system.optimisers(1e-3, 0.0)
    for _ in range(3):
        system.train().step(given, optimisers, drawn(), None)
    counts = {
        name: {int(state["step"]) for state in optimiser.state.values()}
        for name, optimiser in optimisers.items()
    }
    assert counts == {"generator": {3}, "discriminator": {6}}


@pytest.mark.parametrize("row", ["full system", "skip connections", "L1 + CE", "L1"])
def test_the_loss_falls_on_one_batch(row: str) -> None:
    system, given, generator = make(**ROWS[row], dropout=0.0, d_updates=1).train(), batch(), drawn()
    optimisers = system.optimisers(4e-3, 0.0)
    errors = [system.step(given, optimisers, generator, None)["l1"] for _ in range(20)]
    assert errors[-1] < 0.8 * errors[0], errors


def test_the_recorded_sound_cannot_reach_what_is_made() -> None:
    system, first = settled(make()), batch()
    assert first.waveform is not None
    other = Batch(first.visual, first.labels, torch.rand(2, 10, 64), 1 - first.waveform)
    without = Batch(first.visual, first.labels)
    with torch.no_grad():
        made = [system.predict(given, drawn()).waveform for given in (first, other, without)]
    assert made[0] is not None
    assert made[0].shape == (2, SECONDS * SAMPLE_RATE_HZ)
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=0)
    torch.testing.assert_close(made[0], made[2], rtol=0, atol=0)
    with torch.no_grad():
        elsewhere = system.predict(Batch(batch(seed=9).visual, first.labels), drawn()).waveform
    assert elsewhere is not None
    assert not torch.equal(made[0], elsewhere)


def test_seconds_are_laid_end_to_end_and_the_rest_of_one_is_cut_off() -> None:
    spec = DataSpec(("dog",), (DIM,), (45,), (HZ,), 10, 64, SAMPLE_RATE_HZ, 1.5)
    system = make(spec).eval()
    given = Batch((batch().visual[0][:, :45],), torch.zeros(2, dtype=torch.long))
    with torch.no_grad():
        whole = system.predict(given, drawn()).waveform
        second = system.generate(system.encoded(given, torch.ones(2, 1)), drawn())[:, 0].clamp(-1, 1)
    assert whole is not None
    assert whole.shape == (2, 66_150)
    torch.testing.assert_close(whole[:, SAMPLE_RATE_HZ:], second[:, : 66_150 - SAMPLE_RATE_HZ])


def test_full_scale_is_undone_when_sound_is_made() -> None:
    system, given = make(full_scale=True).eval(), batch()
    assert given.waveform is not None
    system.listen((), 0.25 * given.waveform.numpy() / float(given.waveform.abs().max()))
    assert float(system.loudest) == 0.25
    with torch.no_grad():
        made = system.predict(given, drawn()).waveform
        system.loudest.fill_(1.0)
        louder = system.predict(given, drawn()).waveform
    assert made is not None
    assert louder is not None
    torch.testing.assert_close(made, 0.25 * louder)


def examples() -> Examples:
    given = batch(3)
    assert given.waveform is not None
    rows: list[Clip] = [clip_row(f"dog_{number:02d}", "dog", "train", "000") for number in range(3)]
    visual = given.visual[0].numpy().astype(np.float16)
    return Examples(rows, ("dog",), (visual,), (HZ,), waveform=given.waveform.numpy())


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("row", ["full system", "z as input", "random crop"])
def test_killed_and_resumed_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    training = TrainingConfig(epochs=3, batch_size=2, save_every=1, clip_norm=None)

    def trained(folder: Path, n_steps: int | None = None) -> dict[str, Tensor]:
        system, original, calls = make(width=1, **ROWS[row]), v2ra.System.step, []

        def step(self: v2ra.System, *arguments: object) -> dict[str, float]:
            calls.append(1)
            if n_steps is not None and len(calls) > n_steps:
                raise KilledError
            return original(self, *arguments)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(v2ra.System, "step", step)
            train(system, examples(), training, seed=3, device="cpu", state_dir=folder, score=lambda _: {})
        return system.state_dict()

    whole = trained(tmp_path / "whole")
    with pytest.raises(KilledError):
        trained(tmp_path / "killed", n_steps=2 * 2 - 1)  # two batches an epoch: in the second one
    resumed = trained(tmp_path / "killed", n_steps=2 * 2)  # the last two epochs are done
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate_hz": 22_050}, "22050 Hz"),
        ({"duration_s": 0.5}, "clips have 0.5 s"),
        ({"visual_dims": (4, 4), "n_visual_steps": (16, 8)}, "equally many steps"),
        ({"visual_dims": (), "n_visual_steps": ()}, "equally many steps"),
        ({"visual_dims": (4411,)}, "4411 numbers"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(DataSpec(**{**SPEC.__dict__, **changes}))


def test_a_representation_of_another_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="the clips' sample rate"):
        make().listen((), np.zeros((2, 48_000), dtype=np.float32))
