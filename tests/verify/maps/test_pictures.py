"""Digits: the distance knows data from other data, and what is drawn is drawn."""

import numpy as np
import pytest

from verify.errors import ProblemError
from verify.maps.pictures import _classifier, _digits, distance, examine_digits
from verify.maps.target import wrapped


def test_the_distance_grows_with_noise():
    pytest.importorskip("sklearn")
    pictures, labels = _digits()
    classifier = _classifier(pictures[:400], labels[:400])
    noise = np.random.default_rng(0).standard_normal(pictures.shape)
    values = [distance(classifier, pictures, pictures + s * noise) for s in (0.0, 0.2, 0.6)]
    assert values[0] < 1e-6 < values[1] < values[2]


def test_a_map_without_a_label_is_refused():
    with pytest.raises(ProblemError, match="f\\(x, sigma, label\\)"):
        examine_digits(wrapped(lambda x, sigma: x, "endpoint"))
