"""WaveGAN's post-processing filter."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from foley.models.layers.post_filter import PostFilter


def sound(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(2, 1000), (2, 1, 1000), (1, 100)])
def test_it_starts_as_the_identity(shape: tuple[int, ...]) -> None:
    waveform = sound(*shape)
    torch.testing.assert_close(PostFilter()(waveform), waveform)


def test_it_has_the_papers_512_taps_and_no_bias() -> None:
    assert sum(one.numel() for one in PostFilter().parameters()) == 512


@pytest.mark.parametrize("n_taps", [1, 2, 7, 512])
def test_it_is_a_correlation_aligned_as_tensorflow_aligns_it(n_taps: int) -> None:
    net = PostFilter(n_taps)
    torch.nn.init.normal_(net.taps, generator=torch.Generator().manual_seed(1))
    waveform = sound(1, 700)
    padded = np.pad(waveform[0].numpy(), ((n_taps - 1) // 2, n_taps // 2))  # SAME: the odd zero lies behind
    wanted = correlate(padded, net.taps.detach().numpy()[0, 0], mode="valid")
    np.testing.assert_allclose(net(waveform)[0].detach().numpy(), wanted, atol=1e-3)


def test_it_learns_a_delay() -> None:
    net = PostFilter(8)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    waveform = sound(4, 400)
    wanted = torch.roll(waveform, 2, dims=1)
    for _ in range(150):
        loss = torch.nn.functional.mse_loss(net(waveform)[:, 8:], wanted[:, 8:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 1e-3


def test_no_tap_is_refused() -> None:
    with pytest.raises(ValueError, match="tap"):
        PostFilter(0)
