"""A solver that does not converge is said not to, with the reason, wherever its order is shown."""

from __future__ import annotations

import json

import pytest

from solvergen.cli import main

SPEC = 'name = "m"\nintegrand = "data"\n[step]\nrule = "weights"\nweights = {{ n = "{}" }}\n'
UNEVEN = """
name = "m"
integrand = "noise"
coordinate = "clock"
[step]
rule = "weights"
weights = { n = "1 + 1/(2*r1**2)", "n-1" = "-1/(2*r1)" }
[start]
using = ["ddim"]
"""
CASES = [
    (SPEC.format("phi1/h"), "does not converge: a step has the error h^-1 [D], and 1/h of them"),
    (SPEC.format("h*phi1/2"), "does not converge: a step has the error h^1 [-1/2 D], and 1/h of"),
    (
        UNEVEN,
        "does not converge where step sizes vary: there a step has an error proportional to h",
    ),
]


@pytest.fixture(params=range(len(CASES)))
def case(request, tmp_path):
    text, reason = CASES[request.param]
    (tmp_path / "m.toml").write_text(text)
    return tmp_path, reason


def test_it_is_said_in_explain_in_json_and_in_the_file(case, capsys):
    folder, reason = case
    spec = str(folder / "m.toml")
    assert main(["explain", spec]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(reason) for line in lines)
    assert any(line.startswith("  any grid") and line.split()[2:] == ["none"] * 3 for line in lines)
    assert not any(line.startswith("stiff order  strong 0") for line in lines)
    assert main(["explain", spec, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["divergence"].startswith(reason)
    values = [mode["order"] for kind in facts["order"].values() for mode in kind.values()]
    assert min(values) == 0
    assert main(["generate", spec, "--out", str(folder)]) == 0
    text = (folder / "m.py").read_text()
    said = " ".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    assert reason[0].upper() + reason[1:] in said
    assert ("LEADING_ERROR" in text) == (facts["order"]["uniform"]["exact_start"]["order"] > 0)


def test_a_claim_against_it_and_a_comparison_say_so_too(tmp_path, capsys):
    spec = tmp_path / "m.toml"
    spec.write_text(SPEC.format("h*phi1/2") + "[claim]\norder = 1\n")
    assert main(["generate", str(spec), "--out", str(tmp_path)]) == 0
    assert "claims order 1, derived is none (does not converge)" in capsys.readouterr().err
    assert main(["compare", str(spec), "ddim"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert " none " in last and "does not converge" in last


# Factors on the direction that differ from step to step: no order is kept whatever they are.
NUMBERED = [
    "amed_plugin_ddim",
    "amed_plugin_dpm2",
    "amed_plugin_dpm_solver_2m",
    "amed_plugin_dpm_solver_3m",
    "amed_plugin_dpmpp_2m",
    "amed_plugin_dpmpp_3m",
    "amed_plugin_ipndm2",
    "amed_plugin_ipndm3",
    "amed_plugin_ipndm4",
    "amed_solver",
    "bespoke_rk1",
    "bespoke_rk2",
    "bns",
    "epd",
    "gs",
    "ld3_ipndm3",
    "ld3_unipc3",
    "s4s",
    "s4s_pc",
    "timetuner",
]


def test_the_gallery_lists_it(capsys):
    assert main(["list"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " none " in line]
    names = ["ipndm_v4_as_shipped_by_diff_sampler"]
    assert [line.split()[0] for line in lines] == sorted([*NUMBERED, *names])
    assert main(["list", "--json"]) == 0
    said = {
        e["name"]: e["divergence"] for e in json.loads(capsys.readouterr().out) if "divergence" in e
    }
    assert sorted(said) == sorted([*NUMBERED, *names])
    assert "where step sizes vary" in said["ipndm_v4_as_shipped_by_diff_sampler"]
