"""Samplers that do not run on single pixels are judged on states of a shape that they take."""

import functools

import pytest
import torch

from verify.hosts.functions import adapted
from verify.hosts.room import ROOMS, Room, room_for
from verify.judge import judge
from verify.noise.audit import draws_noise
from verify.targets import callable_target

from . import handwritten as hand
from . import handwritten_noise as noise


def only_on(fits, sampler):
    @functools.wraps(sampler)
    def run(model, x, sigmas, **named):
        if not fits(tuple(x.shape)):
            raise ValueError(f"this shape is not taken: {tuple(x.shape)}")
        return sampler(model, x, sigmas, **named)

    return run


@pytest.mark.parametrize(
    ("fits", "words"),
    [
        (lambda shape: shape[-1] >= 2, "b x c x 2h x 2w"),
        (lambda shape: shape[2] % 8 == shape[3] % 8 == 0, "b x c x 8h x 8w"),
        (lambda shape: shape[1] == 4, "b x 4 x h x w"),
        (lambda shape: shape[1] == 3 and shape[-1] > 4, "b x 3 x 8h x 8w"),
        (lambda shape: len(shape) == 5, "b x c x t x h x w"),
        (lambda shape: len(shape) == 3, "b x c x n"),
        (lambda shape: len(shape) == 2, "b x c"),
    ],
)
def test_the_least_shape_that_a_sampler_takes_is_found(fits, words):
    assert room_for(adapted(only_on(fits, hand.ddim), "k-diffusion", {})).words() == words


def test_what_raises_on_every_shape_has_no_room():
    assert room_for(only_on(lambda shape: False, hand.ddim)) is None


def test_a_sampler_that_needs_images_is_judged_on_them():
    picky = only_on(lambda shape: shape[1] == 4 and shape[-1] > 1, hand.heun)
    verdict = judge(callable_target(picky, claim=2), rates=False, conduct=False)
    assert verdict.status == "pass" and set(verdict.audited.values()) == {2}
    assert "this shape is not taken: (1," in verdict.findings[-1]
    assert verdict.findings[-1].endswith("judged on states of b x 4 x 8h x 8w")


def test_draws_follow_the_state_into_its_room():
    picky = only_on(lambda shape: shape[-1] > 1, noise.ddim_eta)
    run = adapted(picky, "k-diffusion", {})
    assert draws_noise(room_for(run).around(run))


@pytest.mark.parametrize("room", ROOMS, ids=Room.words)
def test_values_come_back_as_they_were_put(room):
    x = torch.arange(70.0, dtype=torch.float64).reshape(2, 35, 1, 1)
    made = room.placed(x)
    assert room.holds(tuple(made.shape))
    assert torch.equal(room.read(made, x), x)
