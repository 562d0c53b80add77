"""Certificates: true ones pass a checker that shares no code, tampered ones are refuted."""

import ast
import copy
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest
from sympy import Symbol

from solvergen import gallery
from solvergen.cli import main
from solvergen.expr.evaluation import evaluate
from solvergen.expr.functions import log1p, phi
from solvergen.expr.parse import parse
from solvergen.loading import load
from solvergen.order import analyse
from solvergen.order.questions.certificate import HIGHEST, NotCertified, certificate
from solvergen.program.functions import ELEMENTARY, number
from verify.certificate import checker
from verify.certificate.series import Refuted

ROOT = Path(__file__).parents[2]
# One of every kind: multistep, PEC, PECE, stages, surds, past states, frozen weights, parameters,
# a step over several intervals, weights in the clock seen from λ, weights that know the run,
# every function of a further coordinate.
KINDS = [
    "ddim", "dpmpp_2m", "dpmpp_3m", "dpmpp_3m_as_shipped_by_diffusers", "unipc_3_bh2",
    "dpmpp_3s", "gauss_legendre_2", "bdf_3", "flow_bdf2", "ipndm4", "amed", "bdia", "dpmpp_3s_grid",
    "kutta_3_as_shipped_by_res4lyf", "heunpp2", "hochbruck_ostermann_3",
    "deis_tab2", "dpmpp_2s_time", "alpha_family_vp_time", "alpha_family_vp_time_exact",
]  # fmt: skip
# What has no certificate, and why.
# Why a deterministic gallery solver may have none, and what is true of every one that is refused so.
WITHOUT = {
    "certificates are made of orders 1 to": lambda program: exact_order(program) not in ORDERS,
    "uses stages of the step before": lambda program: bool(program.recalls),
    "remembers combinations of evaluations": lambda program: bool(program.main.memory),
    "depend on the level or on the number": lambda program: "steps" in program.free_symbols(),
}
ORDERS = range(1, HIGHEST + 1)


def exact_order(program):
    return analyse(program).orders["arbitrary"]["exact_start"].value


@pytest.fixture(scope="module")
def known():
    kept = {}

    def get(name):
        if name not in kept:
            kept[name] = json.dumps(certificate(load(name).program))
        return json.loads(kept[name])

    return get


@pytest.mark.parametrize("name", KINDS)
def test_a_true_certificate_passes(name, known):
    document = known(name)
    found = checker.check(document)
    ends = sum(bool(document[part]) for part in ("start", "end"))
    assert len(found) == len(document["claims"]) + ends
    assert f"not {document['claims'][0]['order'] + 1}" in found[0]


def test_the_order_is_the_proved_one(known):
    for name in ("unipc_3_bh2", "ipndm4"):
        report = analyse(load(name).program)
        claims = {c["grid"]: c["order"] for c in known(name)["claims"] if c["part"] == "step"}
        assert claims["arbitrary"] == report.orders["arbitrary"]["exact_start"].value


def test_ratios_and_parameters_stay_symbols(known):
    """What is certified holds identically in them."""
    line, *_ = checker.check(known("unipc_3_bh2"))
    assert line == (
        "unipc_3_bh2: order 4 on arbitrary grids, not 5, identically in ratio 1, ratio 2"
    )
    assert "gamma" in checker.check(known("bdia"))[0]


def test_words_are_the_rooted_trees():
    """With D itself: 1, 2, 5, 13, 37, the counts of order_theory and of solvergen's own words."""
    assert [len(checker.words(w)) for w in range(1, 6)] == [1, 2, 5, 13, 37]


@pytest.mark.parametrize(
    "name", ["dpmpp_3m", "unic_3_on_deis_rhoab3", "kutta_3_as_shipped_by_res4lyf"]
)
def test_the_weights_are_those_of_the_program(name, known):
    """As numbers, at a step with past points where no grid has them."""
    program, document = load(name).program, known(name)
    kappa, h = program.kappa, mpmath.mpf("0.37")
    values = {"h": h, **{f"theta{k}": mpmath.mpf(k) + mpmath.mpf(k) ** 2 / 7 for k in (1, 2, 3)}}
    clock = {
        f"Theta{k}": -mpmath.expm1(-kappa * values[f"theta{k}"] * h) / mpmath.expm1(kappa * h)
        for k in (1, 2, 3)
    }
    names = {n: Symbol(n) for n in values}
    functions = {"phi": phi, "log1p": log1p}
    written = [
        *document["step"]["stages"],
        document["step"]["final"],
        document["step"]["corrector"],
    ]
    for row, texts_of_row in zip(program.main.rows, [w for w in written if w], strict=True):
        exact = {
            source: evaluate(weight, values | clock, ELEMENTARY, number)
            for source, weight in row.u_weights(kappa)
        }
        for source, text in texts_of_row["weights"].items():
            read = evaluate(parse(text, names, functions), values, ELEMENTARY, number)
            assert mpmath.almosteq(read, exact[source], 1e-13), (source, text)
        place = evaluate(parse(texts_of_row["place"], names, functions), values, ELEMENTARY, number)
        assert mpmath.almosteq(
            place, evaluate(row.place.lam(kappa), values, ELEMENTARY, number), 1e-13
        )


# -- mutants ----------------------------------------------------------------------------------------


def texts(node, path=()):
    """Every exact text of the rows, with its path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from texts(value, (*path, key))
    elif isinstance(node, list):
        for key, value in enumerate(node):
            yield from texts(value, (*path, key))
    elif isinstance(node, str) and path[-1] != "name":
        yield path, node


def put(document, path, value):
    """The document with another value at a path."""
    changed = copy.deepcopy(document)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def mutated(text):
    """Texts that differ by a number, a sign, a ratio or a function."""
    for match in re.finditer(r"(?<![\w.])\d+(?!\w)", text):
        for other in (int(match[0]) + 1, int(match[0]) + 7):
            yield text[: match.start()] + str(other) + text[match.end() :]
    for old, new in (("theta1", "theta2"), ("Theta1", "Theta2"), ("-h", "h"), (" + ", " - ")):
        if old in text:
            yield text.replace(old, new, 1)
    yield f"({text})*(1 + h**9) + 1/1000"
    yield f"({text})*1001/1000"


def equal(a, b):
    """Whether two texts are the same number: mutants such as 0*7 for 0*1 mean nothing else."""
    document = {**EMPTY, "roots": {"sqrt3": 3}}
    method = checker.Method(document, {"part": "step", "index": 0}, "arbitrary", 4, {})
    try:
        return (method.value(a, 0) - method.value(b, 0)).vanishes()
    except Refuted:
        return False


EMPTY = {"step": {"history": 3}, "spans": 1, "integrand": "data", "roots": {}}


def refuted(document):
    try:
        checker.check(document)
    except Refuted:
        return True
    return False


NIGHTLY = [
    pytest.param(name, marks=pytest.mark.nightly) for name in ("gauss_legendre_2", "dpmpp_3s")
]


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", *NIGHTLY])
def test_a_changed_weight_or_place_is_refuted(name, known):
    document = known(name)
    count = 0
    for path, text in texts(document["step"], ("step",)):
        for other in mutated(text):
            if not equal(text, other):
                count += 1
                assert refuted(put(document, path, other)), (path, other)
    assert count > 20


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("deis_tab2", "moment(1, 1)", "moment(2, 1)"),
        ("deis_tab2", "eta1", "theta1"),
        ("dpmpp_2s_time", "fraction(1/2)", "offset(1/2)"),
        ("dpmpp_2s_time", "fraction(1/2)", "1/2"),
        ("alpha_family_vp_time", "slope(", "offset("),
    ],
)
def test_another_function_of_the_coordinate_is_refuted(name, old, new, known):
    text = json.dumps(known(name))
    assert old in text and refuted(json.loads(text.replace(old, new, 1)))


def test_a_changed_condition_is_refuted(known):
    document = known("dpmpp_3m")
    claim, *_ = document["claims"]
    for i, one in enumerate(claim["conditions"]):
        fewer = claim["conditions"][:i] + claim["conditions"][i + 1 :]
        assert refuted(put(document, ("claims", 0, "conditions"), fewer))
        for key, value in (
            ("defect", "1"),
            ("defect", "h"),
            ("tree", [one["tree"][0] + 1, one["tree"][1]]),
        ):
            assert refuted(put(document, ("claims", 0, "conditions", i, key), value)), (one, key)


def test_a_changed_leading_error_is_refuted(known):
    document = known("unipc_2_bh2")
    terms = document["claims"][0]["leading"]["terms"]
    at = ("claims", 0, "leading")
    assert refuted(put(document, (*at, "terms"), terms[1:]))
    for i, term in enumerate(terms):
        other = str(Fraction(term["coefficient"]) + Fraction(1, 10**9))
        assert refuted(put(document, (*at, "terms", i, "coefficient"), other))


def test_a_changed_ratio_is_refuted(known):
    """The frozen weights of iPNDM: their error on the grid that is named, and on no other."""
    document = known("ipndm4")
    at = document["claims"][0]["leading"]["at"]
    assert at["ratio 1"] == "2/3"
    assert refuted(put(document, ("claims", 0, "leading", "at", "ratio 1"), "3/4"))


def test_a_higher_order_is_refuted(known):
    """Even with the conditions of that order listed."""
    four = known("unipc_3_bh2")["claims"][0]
    for name in ("dpmpp_3m_as_shipped_by_diffusers", "dpmpp_3m", "ipndm4"):
        document = known(name)
        claim = {**document["claims"][0], "order": 4, "conditions": four["conditions"]}
        with pytest.raises(Refuted, match="is violated"):
            checker.check({**document, "claims": [claim]})


def test_uniform_is_not_taken_for_arbitrary(known):
    document = known("ipndm4")
    uniform = next(c for c in document["claims"] if c["grid"] == "uniform")
    with pytest.raises(Refuted, match="is violated"):
        checker.check({**document, "claims": [{**uniform, "grid": "arbitrary"}]})


def test_a_parameter_is_not_free_when_the_order_needs_its_value(known):
    document = known("amed")
    assert document["claims"][0]["parameters"]
    assert refuted(put(document, ("claims", 0, "parameters"), {}))


def test_own_start_and_end_are_those_that_hold_the_order_back(known):
    """UniPC 3 has order 4, and 3 with its own start; its last step, without corrector, is exact enough."""
    said = checker.check(known("unipc_3_bh2"))
    assert said[-2:] == [
        "unipc_3_bh2: its own start adds errors of O(h^3)",
        "unipc_3_bh2: its own end adds errors of O(h^4)",
    ]
    assert analyse(load("unipc_3_bh2").program).order.value == 3


@pytest.mark.parametrize("name", ["bdf_3", pytest.param("unipc_3_bh2", marks=pytest.mark.nightly)])
def test_a_changed_start_or_end_is_refuted(name, known):
    document = known(name)
    for part in ("start", "end"):
        for path, text in texts(document[part], (part,)):
            if path[-1] not in ("place", "0") or path[-3] == "corrector":
                assert refuted(put(document, path, f"({text})*1001/1000")), path
    fewer = [c for c in document["claims"] if (c["part"], c["index"]) != ("start", 1)]
    assert refuted({**document, "claims": fewer})
    for index, claim in enumerate(document["claims"]):
        if claim["part"] != "step":
            more = {**claim, "order": 4, "conditions": document["claims"][0]["conditions"]}
            assert refuted(put(document, ("claims", index), more)), index


def test_a_wrong_root_is_refuted(known):
    document = known("gauss_legendre_2")
    assert document["roots"] == {"sqrt3": 3}
    for square in (5, 9, 1, 4):
        assert refuted(put(document, ("roots", "sqrt3"), square))


# -- the checker as a program -----------------------------------------------------------------------


def test_the_checker_imports_the_standard_library_alone():
    for path in (ROOT / "verify/certificate").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert names <= {
            *sys.stdlib_module_names,
            "collections.abc",
            *("checker", "names", "series", "words"),
        }, path
    assert len((ROOT / "verify/certificate/checker.py").read_text().splitlines()) <= 200


def test_from_the_command_to_the_verdict(tmp_path, capsys):
    path = tmp_path / "dpmpp_2m.json"
    assert main(["certify", "dpmpp_2m", "--out", str(path)]) == 0
    assert "order 2 on arbitrary grids" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "verify.certificate", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.splitlines() == [
        "dpmpp_2m: order 2 on arbitrary grids, not 3, identically in ratio 1",
        "dpmpp_2m: step 0 of its start, order 1 on arbitrary grids",
        "dpmpp_2m: its own start adds errors of O(h^2)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "solvergen certificate 2", "roots": {}, "claims": [1]}',
        "{" * 5000,
    ],
)
def test_what_is_no_certificate_is_refuted_without_a_traceback(text, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert checker.main([str(path), str(tmp_path / "none.json")]) == 1
    assert "bad.json: refuted: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["__import__('os')", "h.real", "exp(1)", "1/0", "h**-1", "phi(h, h)", "[h]"]
)
def test_hostile_weights_are_refuted(text, known):
    assert refuted(put(known("ddim"), ("step", "final", "weights", "n"), text))


def test_what_has_no_certificate_says_why(capsys):
    assert main(["certify", "dormand_prince_5"]) == 2
    assert "its order is 5; certificates are made of orders 1 to 4" in capsys.readouterr().err
    assert main(["certify", "dpmpp_2m_sde"]) == 2
    assert "draws noise" in capsys.readouterr().err
    assert main(["certify"]) == 2


@pytest.mark.nightly
def test_every_deterministic_solver_up_to_order_four_has_a_certificate():
    certified = 0
    for name in gallery.names():
        program = load(name).program
        if program.stochastic:
            continue
        try:
            document = json.loads(json.dumps(certificate(program)))
        except NotCertified as error:
            reason = next((reason for reason in WITHOUT if reason in str(error)), None)
            assert reason is not None, error
            assert WITHOUT[reason](program), error
            continue
        assert checker.check(document), name
        certified += 1
    assert certified >= 250


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["dormand_prince_5", "lobatto_iiia_4", "ab5_lambda"])
def test_higher_orders_have_one_on_request(name):
    assert checker.check(json.loads(json.dumps(certificate(load(name).program, 6))))
