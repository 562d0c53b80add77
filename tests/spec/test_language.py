"""Every key of the language works, in TOML, in the schema and in the starters."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from solvergen import gallery, spec
from solvergen.derive import derive
from solvergen.errors import SpecError
from solvergen.spec import parse_solver
from solvergen.spec.language import TABLES
from solvergen.spec.language.reference import reference
from solvergen.spec.language.schema import json_schema
from solvergen.spec.text.starter import FAMILIES, starter
from tests.generated.shapes import by_shape

SCHEMA = json_schema()
VALID = jsonschema.Draft7Validator(SCHEMA)  # `validate` checks SCHEMA again at each call
TOP = 'name = "x"\nintegrand = "data"\n'
STEP = '[step]\nrule = "interpolate"\nnodes = ["n"]\n'
PARAMETERS = '[parameters.r]\ndefault = "1/2"\n[parameters.c]\ndefault = 1\n'
STAGE = '[[stage]]\nname = "mid"\nat = "r"\nrule = "interpolate"\nnodes = ["n"]\n'

# The smallest rule that takes a key, for examples of keys that not every rule has.
RULE_WITH = {
    "rule": 'nodes = ["n"]\nrule = {}',
    "nodes": 'rule = "interpolate"\nnodes = {}',
    "coordinate": 'rule = "interpolate"\nnodes = ["n"]\ncoordinate = {}',
    "steps": 'rule = "adams-bashforth"\nsteps = {}',
    "degree": 'rule = "taylor"\nnodes = ["n", "n-1", "n-2"]\ndegree = {}',
    "factors": 'rule = "taylor"\nnodes = ["n", "n-1", "n-2"]\ndegree = 2\nfactors = {}',
    "theta": 'rule = "mean-value"\nnodes = ["n"]\ntheta = {}',
    "scale": 'rule = "mean-value"\nnodes = ["n"]\nscale = {}',
    "weights": 'rule = "weights"\nweights = {}',
    "states": 'rule = "interpolate"\nnodes = ["n"]\ncoordinate = "clock"\nstates = {}',
    "deviations": 'rule = "interpolate"\nnodes = ["n"]\ndeviations = {}',
    "carry": 'rule = "weights"\nweights = { n = "2/3" }\ncoordinate = "clock"\ncarry = {}',
    "decay": 'rule = "weights"\nweights = { n = "h" }\ndecay = {}',
    "noise": 'rule = "weights"\nweights = { n = "h" }\nnoise = {}',
    "frozen": 'rule = "interpolate"\nnodes = ["n", "n-1"]\nfrozen = {}',
}


REST = '[end]\nremainder = [["ddim", "ddim"], ["ddim"]]\n'
EXPLICIT = '[noise]\nform = "explicit"\njumps = true\n'


def _stochastic(table, name, line):
    """A spec that shows a key of [noise] or [langevin]."""
    names = ("tau", "eta", "delta", "snr", "s_noise", "s_tmin", "s_tmax")
    head = TOP + "".join(f'[parameters.{p}]\ndefault = "1/2"\n' for p in names)
    if table == "langevin":
        other = 'rate = "delta"\n' if name == "steps" else "steps = 1\n"
        return f"{head}{EXPLICIT}[langevin]\n{line}{other}{STEP}"
    form = {"down": "ancestral", "form": ""}.get(name, "sde")
    given = f'form = "{form}"\n' if form else ""
    stage = STAGE.replace('"r"', '"1/2"')
    line += 'window = ["s_tmin", "s_tmax"]\n' if name == "window_at" else ""
    return f"{head}[noise]\n{given}{line}{'' if 'inside' in line else stage}{STEP}"


def document(table, name, example):
    """A spec whose key `name` of a table has its documented example as value."""
    line = f"{name} = {example}\n"
    if table == "":
        given = {"name": '"x"', "integrand": '"data"', name: example}
        return "".join(f"{k} = {v}\n" for k, v in given.items()) + STEP
    head = TOP + PARAMETERS
    if name in ("decay", "noise"):
        head += EXPLICIT
        if table in ("embedded", "coupled"):
            return None  # an adaptive solver draws no noise, a pair of states neither
    if table in ("noise", "langevin"):
        return _stochastic(table, name, line)
    if name == "spans":
        return f'{head}[step]\n{line}rule = "interpolate"\nnodes = ["n"]\n{REST}'
    if name in RULE_WITH and table not in ("parameters", "source", "let", "fitted", "memory"):
        rule = RULE_WITH[name].replace("{}", example) + "\n"
        if name == "carry":  # a state from before the start cannot be left out
            head += '[start]\nusing = ["ddim"]\n'
        if table == "step":
            return head + STAGE + "[step]\n" + rule
        if table == "coupled":
            head = head.split("[start]")[0]
            pair = 'weights = { n = 1 }\ncarry = { x = "1/2", y = "1/2" }\ncoordinate = "clock"\n'
            if "coordinate" not in rule:
                rule += 'coordinate = "clock"\n'
            return f'{head}{STAGE}[step]\nrule = "weights"\n{pair}[coupled]\n{rule}'
        if table == "stage":
            return head + STAGE + STAGE.split("rule")[0].replace('"mid"', '"two"') + rule + STEP
        if table == "embedded":
            if name in ("states", "carry"):
                return None  # adaptive steps remember nothing
            control = '[controller]\nkind = "power"\norder = 1\n'
            return head + STAGE + STEP + "[embedded]\n" + rule + control
        if table == "corrector":
            mode = 'mode = "PECE"\n'
            return head + STAGE + STEP + "[corrector]\n" + mode + rule
        return None  # the rules of [[start.rule]] and [[end.rule]] have a test of their own
    match table:
        case "source" | "claim":
            return f"{head}[{table}]\n{line}{STEP}"
        case "schedule":
            fields = {} if name == "name" else {"name": '"vp-linear"'}
            if name in ("alpha", "sigma", "until"):
                fields = {"alpha": '"1 - t"', "sigma": '"t"'}
            rows = "".join(f"{k} = {v}\n" for k, v in {**fields, name: example}.items())
            return f"{head}[schedule]\n{rows}{STEP}"
        case "parameters":
            default = "" if name == "default" else 'default = "1/2"\n'
            default += 'per = "step"\n' * (name == "values")
            return f"{head}[parameters.q]\n{default}{line}{STEP}"
        case "stage":
            fields = {"name": '"mid"', "at": '"r"', name: example}
            rows = "".join(f"{k} = {v}\n" for k, v in fields.items())
            return f'{head}[[stage]]\n{rows}rule = "interpolate"\nnodes = ["n"]\n{STEP}'
        case "tableau":
            fields = {"c": '["1/2", "1"]', "a": '[["1/2"], ["-1", "2"]]'}
            fields |= {"b": '["1/6", "2/3", "1/6"]'}
            if name == "sweeps":
                fields = {"c": '["1"]', "a": '[["1"]]', "b": '["1"]'}
            fields[name] = example
            rows = "".join(f"{k} = {v}\n" for k, v in fields.items())
            return f"{head}[tableau]\n{rows}"
        case "corrector":
            mode = 'mode = "PECE"\n' if name != "mode" else ""
            return f'{head}{STEP}[corrector]\n{mode}{line}rule = "adams-moulton"\nsteps = 2\n'
        case "controller":
            fields = {"kind": '"power"', "order": "1", name: example}
            rows = "".join(f"{k} = {v}\n" for k, v in fields.items())
            pair = f'{STAGE}{STEP}[embedded]\nrule = "interpolate"\nnodes = ["mid"]\n'
            return f"{head}{pair}[controller]\n{rows}"
        case "start" | "end":
            if name == "remainder":
                return (
                    f'{head}[step]\nspans = 2\nrule = "interpolate"\nnodes = ["n"]\n[end]\n{line}'
                )
            if name == "corrector":
                correct = '[corrector]\nrule = "adams-moulton"\nsteps = 2\n'
                return f"{head}{STEP}{correct}[{table}]\n{line}"
            return f"{head}{STEP}[{table}]\n{line}"
        case "grid":
            return f"{head}{STEP}[grid]\n{line}"
        case "memory":
            fields = {} if name == "weights" else {"nodes": '["n", "n-1"]', "at": '"1/2"'}
            rows = "".join(f"{k} = {v}\n" for k, v in {**fields, name: example}.items())
            return f'{head}{STEP}[memory]\n{rows}[schedule]\nname = "vp-linear"\n'
        case "call":
            level = 'level = "1/2"\n' * (name == "output")
            return f"{head}{STEP}[call]\n{level}{line}"
        case "fitted":
            fields = {"base": '"00"', "problem": '"x"', "steps": "5", name: example}
            rows = "".join(f"{k} = {v}\n" for k, v in fields.items())
            return f'{head}{STEP}[grid]\nlevels = ["1", "1/2"]\n[fitted]\n{rows}'
    raise AssertionError(f"no document for [{table}] {name}")


KEYS = [(table, name) for table, found in TABLES.items() for name in found.keys]


@pytest.mark.parametrize(("table", "name"), KEYS, ids=[f"{t or 'top'}-{n}" for t, n in KEYS])
def test_the_example_of_every_key_is_usable(table, name):
    key = TABLES[table].keys[name]
    tomllib.loads(f"{name} = {key.example}")
    text = document(table, name, key.example)
    if text is None:
        assert name in RULE_WITH and table in ("start.rule", "end.rule", "embedded", "coupled")
        return
    solver = parse_solver(text)
    VALID.validate(tomllib.loads(text))
    # The example's stage is not in every table, and the example's fit is of no rule.
    remembers = table == "coupled" and ("-1" in text or "adams" in text)  # it does so by itself
    if '"h*phi1 - h*phi2/r"' not in key.example and table != "fitted" and not remembers:
        derive(solver)
    for choice in key.choices:
        other = document(table, name, json.dumps(choice))
        VALID.validate(tomllib.loads(other))


@pytest.mark.parametrize("edge", ["start", "end"])
def test_rules_of_first_and_last_steps(edge):
    text = f'{TOP}{STEP}[[{edge}.rule]]\nrule = "interpolate"\nnodes = ["n"]\n'
    VALID.validate(tomllib.loads(text))
    (step,) = getattr(derive(parse_solver(text)), edge)
    assert [term.source for term in step.final.terms] == ["n"]


@pytest.mark.parametrize("name", by_shape())
def test_the_schema_accepts_the_gallery(name):
    text = (gallery.CATALOG / f"{name}.toml").read_text(encoding="utf-8")
    VALID.validate(tomllib.loads(text))
    assert gallery.load(name).name == name


def test_a_byte_order_mark_is_dropped():
    text = (TOP + STEP).replace("\n", "\r\n")
    for marked in ("\ufeff" + text, ("\ufeff" + text).encode()):
        assert parse_solver(marked) == parse_solver(TOP + STEP)
    with pytest.raises(SpecError) as caught:
        parse_solver("\ufeff" + text.replace("name", "nme", 1).replace("integ", "name = 1\ninteg"))
    assert "1:1" in str(caught.value)


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        TOP.replace("integrand", "integrant") + STEP,
        TOP + STEP.replace("nodes", "node"),
        TOP + STEP + "[claim]\nordr = 2\n",
        TOP + STEP + '[ends]\nzero = "ddim"\n',
        TOP.replace('"data"', '"date"') + STEP,
        TOP + STEP.replace('"interpolate"', '"interpolation"'),
        TOP + STEP + "[claim]\norder = 1.5\n",
        TOP + STEP + "[end]\nramp = 1\n",
        'integrand = "data"\n' + STEP,
        TOP.replace('"x"', '"3x"') + STEP,
        TOP + STEP + "[parameters.r]\ndefault = 0.5\n",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text):
    with pytest.raises(jsonschema.ValidationError):
        VALID.validate(tomllib.loads(text))
    with pytest.raises(Exception, match="<spec>"):
        parse_solver(text)


def test_the_written_schema_and_page_are_current():
    folder = Path(spec.__file__).parent
    page, schema = folder / "reference.md", folder / "solver.schema.json"
    assert page.read_text(encoding="utf-8") == reference() + "\n"
    assert json.loads(schema.read_text(encoding="utf-8")) == json_schema()


def test_the_reference_page_has_every_key():
    page = reference()
    for table, found in TABLES.items():
        assert not table or f"`{found.header}`" in page
        for name, key in found.keys.items():
            assert f"| `{name}` |" in page and key.example in page


@pytest.mark.parametrize("family", FAMILIES)
def test_starters_are_specs(family):
    text = starter("mine", family)
    solver = parse_solver(text)
    VALID.validate(tomllib.loads(text))
    assert solver.name == "mine" and derive(solver).main.evaluations >= 1
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert parse_solver(uncommented) == solver


def test_adams_shorthands_are_node_lists():
    short = parse_solver(
        f'{TOP}[step]\nrule = "adams-bashforth"\nsteps = 3\n'
        '[corrector]\nrule = "adams-moulton"\nsteps = 3\n'
    )
    long = parse_solver(
        f'{TOP}[step]\nrule = "interpolate"\nnodes = ["n", "n-1", "n-2"]\n'
        '[corrector]\nrule = "interpolate"\nnodes = ["n+1", "n", "n-1"]\n'
    )
    assert short == long and hash(short) == hash(long)


def test_texts_are_one_line_so_that_comments_stay_comments():
    text = f'title = "one\\ntwo"\n{TOP}{STEP}[source]\nwhere = """\nA\nB"""\n'
    solver = parse_solver(text)
    assert solver.title == "one two" and solver.source.where == "A B"


def test_line_ends_and_long_unicode_are_fine():
    text = f'title = "Δ–solver ✓"\n{TOP}{STEP}'
    assert parse_solver(text.replace("\n", "\r\n")) == parse_solver(text.encode())
