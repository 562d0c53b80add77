"""The command `process`: pages, LaTeX, JSON, and what it refuses."""

import json

import pytest

from solvergen.cli import main


def test_the_list_names_every_process(capsys):
    assert main(["process"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][:3] == [
        "vp-linear", "vp-cosine", "sub-vp",
    ]  # fmt: skip


def test_the_page_has_every_part(capsys):
    assert main(["process", "flow"]) == 0
    shown = capsys.readouterr().out
    for part in ("λ = log(α/σ) = -log(t) + log(1 - t)", "Forward SDE", "Probability-flow ODE"):
        assert part in shown
    assert shown.count("\n  yes  ") == 9 and "\n  NO " not in shown


@pytest.mark.nightly
def test_json_is_data_and_latex_is_balanced(capsys):
    assert main(["process", "--alpha", "1-t", "--sigma", "t**2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sde"]["f"] == {"formula": "1/(t - 1)", "latex": r"\frac{1}{t - 1}"}
    assert all(proof["holds"] for proof in found["proofs"])
    assert main(["process", "edm", "--latex"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(r"\begin{align*}") == shown.count(r"\end{align*}") == 6
    assert shown.count("{") == shown.count("}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["floww"], "did you mean `flow`"),
        (["--alpha", "t"], "give --alpha and --sigma"),
        (["--beta", "b*t", "--value", "b=x"], "write NAME=NUMBER"),
        (["flow", "--value", "b=2"], "values of its own"),
        (["--beta", "2*exp("], "not an arithmetic expression"),
    ],
)
def test_bad_usage_is_one_message(arguments, message, capsys):
    assert main(["process", *arguments]) == 2
    assert message in capsys.readouterr().err
