"""What the sweep over diffusers finds with no hint, each on its own target and option."""

import pytest

from verify.library import expanded
from verify.processes.settle import settle
from verify.request import Request

from .conftest import needs_diffusers

SDE_3 = {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}


@needs_diffusers
@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("DDIM", {"timestep_spacing": "linspace"}, ("handover", "training times away")),
        ("DDIM", {"timestep_spacing": "trailing"}, ("handover", "training times away")),
        ("FlowMatchEulerDiscrete", {"shift": 3.0}, ("level 0.008929", "shifted once")),
        ("UniPCMultistep", {"lower_order_final": False}, ("NaN or infinity in the result",)),
        ("UniPCMultistep", {"solver_type": "bh1"}, ("NaN or infinity in the result",)),
        ("DEISMultistep", {"use_karras_sigmas": True}, ("listed twice",)),
        ("SASolver", {"use_karras_sigmas": True}, ("listed twice",)),
        ("DPMSolverMultistep", SDE_3, ("second divided difference", "(a sign, or a constant)")),
        ("EulerDiscrete", {"s_churn": 2.0}, ("handover", "the network is asked for level")),
        ("IPNDM", {}, ("`ets` holds 10 states", "grows for ever")),
        ("PNDM", {"prediction_type": "v_prediction"}, ("claims order 4; on every grid it is 1",)),
    ],
)
def test_the_sweep_finds_it(name, options, words):
    asked = Request("diffusers:*", settings={"rates": False, "constants": False})
    (request,) = (
        r
        for r in expanded(asked, True)
        if r.target == f"diffusers:{name}Scheduler" and r.options == options
    )
    (verdict,) = settle(request)
    assert verdict.status == "fail"
    assert any(all(w in text for w in words) for text in verdict.findings), verdict.findings
