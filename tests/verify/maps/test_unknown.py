"""Maps without a truth: an exact one is not refuted, one that is wrong at a level is, there."""

import pytest
import torch

from verify.errors import ProblemError
from verify.maps.flow import exact_map
from verify.maps.problem import problem
from verify.maps.target import wrapped
from verify.maps.unknown import spectrum, two_sample_ks, unknown


def test_an_exact_map_returns_to_its_law():
    on = problem("gaussian")
    made = unknown(wrapped(exact_map(on), "endpoint"), (2,), 80.0, 0.002, 1024)
    assert made.status == "not refuted" and not made.error


def test_the_level_at_which_a_map_breaks_is_found():
    on = problem("gaussian")
    exact = exact_map(on)

    def broken(x, sigma):
        at = ((sigma > 3) & (sigma < 8))[:, None]
        return torch.where(at, exact(x, sigma) + 1.0, exact(x, sigma))

    made = unknown(wrapped(broken, "endpoint"), (2,), 80.0, 0.002, 2048)
    assert [one.name for one in made.refuted] == ["law returns from 4.8"]


def test_the_band_grows_as_samples_shrink():
    same = torch.randn(400, 3, dtype=torch.float64)
    assert two_sample_ks(same, same, 1)[0] == 0
    assert two_sample_ks(same[:50], same, 1)[1] > two_sample_ks(same, same, 1)[1]


def test_the_spectrum_of_white_noise_is_flat():
    power = spectrum(torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert float((power / power.mean() - 1).abs().max()) < 0.1


def test_a_shape_is_needed():
    from verify.maps.unknown import _shape

    with pytest.raises(ProblemError, match="--shape"):
        _shape("one,two")
