"""A wrong spec ends in an error that says where, what was found and what to do."""

import re

import pytest

from solvergen.errors import SpecError
from solvergen.loading import load
from solvergen.spec import parse_solver, read_solver

TOP = 'name = "x"\nintegrand = "data"\n'
STEP = '[step]\nrule = "interpolate"\nnodes = ["n"]\n'
TAYLOR = '[step]\nrule = "taylor"\nnodes = ["n", "n-1"]\n'

# text, line, column, pieces that the message must have
TABLE = [
    (TOP + STEP + "[claim]\nordr = 2\n", 7, 1, ["`ordr`", "[claim]", "did you mean `order`"]),
    (TOP.replace('"data"', '"date"') + STEP, 2, 14, ["`date`", "did you mean `data`"]),
    ('name = "x"\n' + STEP, 0, 0, ["needs `integrand`", 'integrand = "data"']),
    (TOP, 0, 0, ["no [step]", 'rule = "interpolate"']),
    (TOP + "[step]\n", 3, 1, ["[step] needs `rule`"]),
    (TOP + '[step]\nrule = "interpolate"\n', 3, 1, ["needs `nodes`"]),
    (TOP + TAYLOR, 3, 1, ["needs `degree`", "degree = 2"]),
    (TOP + STEP + "theta = 1\n", 6, 1, ["takes no `theta`", "belongs to mean-value"]),
    (
        TOP + '[step]\nrule = "interpolate"\nnodes = ["n", "n-10"]\n',
        5,
        16,
        ["`n-10`", "more than 9 steps"],
    ),
    (TOP + '[step]\nrule = "interpolate"\nnodes = ["n", "2n"]\n', 5, 16, ["`2n` is not a node"]),
    (TOP + '[step]\nrule = "interpolate"\nnodes = ["n", "n"]\n', 5, 11, ["twice"]),
    (TOP + '[step]\nrule = "adams-bashforth"\nsteps = 10\n', 5, 1, ["from 1 to 9", "found 10"]),
    (TOP + '[step]\nrule = "adams-bashforth"\n', 3, 1, ["needs `steps`", "steps = 3"]),
    (
        TOP + '[step]\nrule = "interpolate"\nnodes = ["n"]\nsteps = 2\n',
        6,
        1,
        ["takes no `steps`", "adams-bashforth"],
    ),
    (TOP + STEP + "[end]\nramp = 1\n", 7, 1, ["true or false", "found 1", "ramp = true"]),
    (TOP + STEP + "[claim]\norder = 1.5\n", 7, 1, ["a whole number", "found 1.5"]),
    (TOP + STEP + "[parameters.r]\ndefault = 0.5\n", 7, 1, ["exact", "found 0.5"]),
    (TOP + STEP + '[parameters.r]\ndefault = "2"\nmaximum = 1\n', 7, 1, ["outside", "<= 1"]),
    (TOP + STEP + "[parameters.lam]\ndefault = 1\n", 6, 1, ["`lam`", "reserved"]),
    (TOP + STEP + '[let]\nw = "h*q"\n', 7, 8, ["unknown name `q`"]),
    (TOP + STEP + '[let]\nw = "h.__class__"\n', 7, 6, ["attribute is not allowed"]),
    (TOP + STEP + '[let]\nw = "9**9**9"\n', 7, 6, ["exponents go from"]),
    (TOP + STEP + '[let]\nw = "1/0"\n', 7, 6, ["division by zero"]),
    (TOP + STEP + '[let]\nw = "h^2"\n', 7, 6, ["write ** for powers"]),
    (TOP + STEP + '[let]\nw = "h·2"\n', 7, 6, ["U+00B7 (MIDDLE DOT)"]),
    (TOP + STEP + '[let]\nw = "h − 2"\n', 7, 8, ["U+2212 (MINUS SIGN)"]),
    (TOP + STEP + '[let]\nh = "2"\n', 7, 1, ["`h` has a meaning in weights"]),
    ('name\u00a0= "x"\n', 1, 5, ["not valid TOML", "U+00A0 (NO-BREAK SPACE)"]),
    ("name = “x”\n", 1, 8, ["not valid TOML", "U+201C (LEFT DOUBLE QUOTATION MARK)"]),
    (TOP + STEP + '[call]\nlevel = "-1"\n', 7, 1, ["`level` must be above 0", "found -1"]),
    (TOP + STEP + '[call]\nlevel = "0"\n', 7, 1, ["`level` must be above 0", "found 0"]),
    (
        TOP + '[noise]\nform = "sde"\nwindow_at = "end"\n' + STEP,
        5,
        1,
        ["`window_at` needs a `window`"],
    ),
    (TOP + '[noise]\nform = "explicit"\nscale = 2\n' + STEP, 5, 1, ["takes no `scale`"]),
    (TOP + '[noise]\nform = "sde"\n[langevin]\nsteps = 2\n' + STEP, 5, 1, ["one of them"]),
    (TOP + STEP + '[let]\nx = "h"\n', 7, 1, ["`x` is not a valid name", "`f(x)`"]),
    (TOP + STEP + '[let]\n"f(y)" = "h"\n', 7, 1, ["`f(y)` is not a valid name"]),
    (
        TOP + STEP + '[let]\n"exp(x)" = "h"\n',
        7,
        1,
        ["`exp` cannot name a function", "spec language"],
    ),
    (TOP + STEP + '[let]\n"k(x)" = "x"\n', 7, 1, ["a name that emitted files or Python use"]),
    (TOP + STEP + '[let]\n"f(x)" = "f(x) + 1"\n', 7, 11, ["`f` uses itself", "above it"]),
    (TOP + STEP + '[let]\n"f(x)" = "w(x)"\n"w(x)" = "x"\n', 7, 11, ["`w`, which is written below"]),
    (
        TOP + STEP + '[parameters]\na = { default = 1 }\n[let]\n"a(x)" = "x"\n',
        9,
        1,
        ["a parameter"],
    ),
    (TOP + '[noise]\nform = "sde"\nstrength = "-1"\n' + STEP, 5, 1, ["at least 0, found -1"]),
    (TOP.replace('"x"', '"class"') + STEP, 1, 9, ["`class` cannot name a solver", "keyword"]),
    (TOP + STEP + '[let]\nw = "h*x"\n', 7, 8, ["unknown name `x`"]),
    (TOP + STEP + '[start]\nshrink = "1/2"\n', 7, 1, ["greater than 1"]),
    (TOP + STEP + '[start]\nusing = ["dim"]\n', 7, 1, ["`dim`: no solver of that name", "`ddim`"]),
    (TOP + STEP + '[start]\nusing = ["dpmpp_2m"]\n', 7, 1, ["needs 1 past", "0 exist by then"]),
    (TOP + STEP + '[end]\nramp = true\nusing = ["ddim"]\n', 7, 1, ["not both"]),
    (TOP + STEP + "[end]\ncorrector = true\n", 7, 1, ["no PEC corrector"]),
    (TOP + STEP + '[end]\nzero = "rule"\n', 7, 1, ["infinitely long"]),
    (TOP + STEP + "[stage]\n", 6, 1, ["[[stage]]"]),
    (TOP + STEP + '[start]\nrule = "x"\n', 7, 1, ["[[start.rule]]"]),
    (TOP + STEP + "step = 3\n", 6, 1, []),
    ('coordinate = "t"\nschedule = { name = "vp" }\n' + TOP + STEP, 1, 1, ["not defined here"]),
    (
        TOP + '[schedule]\nname = "cosine"\n[[stage]]\nname = "a"\nat = "1/2"\nplace = "t"\n'
        'rule = "interpolate"\nnodes = ["n"]\n' + STEP,
        8,
        1,
        ["t of the schedule `cosine` is not defined"],
    ),
    (
        TOP + '[schedule]\nname = "cosine"\n' + STEP + 'coordinate = "t"\n',
        8,
        1,
        ["t of the schedule `cosine` is not defined"],
    ),
    (TOP + STEP + '[schedule]\nname = "vp"\nbeta_min = 30\n', 6, 1, ["less than beta_max"]),
    (
        TOP + '[step]\nrule = "interpolate"\nnodes = ["n", "mid"]\n',
        5,
        1,
        ["`mid` is not evaluated"],
    ),
    (TOP + '[step]\nrule = "interpolate"\nnodes = ["n+1"]\n', 5, 1, ["[corrector] only"]),
    (TOP + '[step]\nrule = "interpolate"\nnodes = ["n-1"]\n', 5, 1, ["[start] using"]),
    (TOP + '[step]\nrule = "weights"\nweights = { n-1 = "h" }\n', 5, 1, ["cannot be shortened"]),
    ("name = \n", 1, 8, ["not valid TOML"]),
    ('name = "x\n', 1, 10, ["not valid TOML"]),
    (TOP + TOP, 3, 11, ["not valid TOML"]),
    ('title = "a\\u0000b"\n' + TOP + STEP, 1, 1, ["control character"]),
    (
        TOP + "[[memory]]\nnodes = ['n']\n[step]\nrule = 'interpolate'\nnodes = ['n']",
        3,
        1,
        ["with one bracket"],
    ),
    (TOP + "step = 0x" + "f" * 6000, 3, 1, ["must be a table"]),
    (TOP + STEP + "[claim]\norder = 0x" + "f" * 6000, 7, 1, ["an integer of 24000 bits"]),
]


@pytest.mark.parametrize(("text", "line", "column", "pieces"), TABLE)
def test_errors_point_and_help(text, line, column, pieces, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(str(path))
    error = caught.value
    if pieces:
        assert (error.line, error.column) == (line, column), str(error)
    for piece in pieces:
        assert piece in error.message
    shown = str(error)
    assert shown.startswith(f"{path}:{line}:{column}: " if line else f"{path}: ")
    if error.text and len(error.text) <= 160:
        _where, source, caret = shown.split("\n")[-3:]
        assert source == f"{error.line:5d} | {text.splitlines()[error.line - 1]}"
        assert re.fullmatch(r"      \| *\^+", caret)


def test_unreadable_files(tmp_path):
    with pytest.raises(SpecError, match="No such file"):
        read_solver(tmp_path / "none.toml")
    with pytest.raises(SpecError, match="cannot be read"):
        read_solver(tmp_path)
    with pytest.raises(SpecError, match="UTF-8") as caught:
        parse_solver(b'name = "x"\n\xff\xfe')
    assert caught.value.line == 2


def test_ten_megabytes_are_not_read(tmp_path):
    path = tmp_path / "big.toml"
    path.write_bytes(b"# " + b"x" * 10_000_000)
    with pytest.raises(SpecError, match="larger than 16 KiB"):
        read_solver(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" + " " * 15_000,
        "[[" + " " * 15_000 + "]",
        TOP + 'title = "' + "a" * 15_000 + '"\n' + STEP,
        TOP + "title = " + "a" * 15_000,
        TOP + "x = " + "'\" " * 5000,
        TOP + "x = " + "[" * 15_000,
        TOP + "x = " + "{a=" * 5000,
        TOP + ".".join("x" * 7000) + " = 1\n",
        TOP + "step.rule." + ".".join("x" * 7000) + " = 1\n",
        TOP + STEP.replace("n", "[" * 10_000),
        TOP + "[let]\n" + 'a0 = "exp(h) + 1"\n' + "".join(
            f'b{i} = "exp({p}) + {p}*h"\n' for i, p in enumerate(["h", *(f"b{k}" for k in range(99))])
        ) + STEP,
        TOP + "[let]\n" + "".join(f'b{i} = "{"exp(" * 9}h{")" * 9}"\n' for i in range(300)) + STEP,
        TOP + '[step]\nrule = "interpolate"\nnodes = [' + ", ".join(
            f'"{a}{b}{c}"' for a in "abcdefgh" for b in "abcdefghijklmno" for c in "abcdefghijklmno"
        ) + "]\n",
        TOP + "[start]\nusing = [" + ", ".join(['"ddim"'] * 1500) + "]\n" + STEP,
        TOP + '[start]\nusing = ["' + "a" * 300 + '"]\n' + STEP,
        TOP + '[start]\nusing = ["../../../../etc/passwd"]\n' + STEP,
        TOP + '[start]\nusing = ["\\u0000"]\n' + STEP,
        TOP + STEP + '[corrector]\nmode = "PECE"\nsweeps = 900000\nrule = "adams-moulton"\nsteps = 2',
        TOP + '[tableau]\nc = ["1"]\na = [["1"]]\nb = ["1"]\nsweeps = 900000\n',
        TOP + '[step]\nrule = "weights"\nweights = { n = "' + "*".join(["9**32"] * 250) + '" }\n',
        TOP + '[step]\nrule = "weights"\nweights = { n = "' + "+".join(["sqrt(h)"] * 240) + '" }\n',
    ],
)  # fmt: skip
def test_hostile_specs_end_in_a_solver_or_an_error(text, tmp_path):
    path = tmp_path / "hostile.toml"
    path.write_text(text, encoding="utf-8")
    try:
        load(str(path))
    except SpecError as error:
        assert error.message


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text():
    text = (
        'name = "x"\nintegrand = "date"\nfoo = 1\n'
        "[parameters.a]\ndefault = 1.5\n[parameters.b]\ndefalt = 1\n"
        '[step]\nrule = "interpolate"\nnodes = ["n"]\n[claim]\nordr = 2\n'
    )
    with pytest.raises(SpecError) as caught:
        parse_solver(text)
    found = caught.value
    assert [one.line for one in (found, *found.others)] == [2, 3, 5, 6, 7, 12]
    assert str(found).count("<spec>:") == 6


def told_lines(text):
    with pytest.raises(SpecError) as caught:
        parse_solver(text)
    return [one.line for one in (caught.value, *caught.value.others)]


def test_what_uses_a_wrong_name_is_not_told_beside_it():
    rule = '[step]\nrule = "weights"\nweights = { n = "a*h" }\n'
    assert told_lines(TOP + "[parameters.a]\ndefault = 1.5\n" + rule) == [4]
    names = '[let]\nw = "h*q"\nv = "w**h"\nu = "v*foo(3)"\n"f(x)" = "y"\n'
    rule = '[step]\nrule = "weights"\nweights = { n = "riemann(x, 0, h, u)", n-1 = "f(h)" }\n'
    assert told_lines(TOP + names + rule) == [4, 6, 7]


def test_mistakes_in_expressions_nodes_and_tables_are_told_together():
    text = (
        'name = "x"\nintegrand = "dat"\n'
        '[[stage]]\nname = "n"\nat = "1/0"\nplace = "q"\nrule = "interpolat"\n'
        '[step]\nrule = "weights"\nnodes = ["n", "2n"]\ntheta = "z"\n'
        'weights = { n = "h*", m = "h*zz" }\n'
        '[noise]\nform = "sdee"\nwindow_at = "middle"\n'
        '[langevin]\nsteps = 0\n[start]\nshrink = "1/2"\n'
    )
    assert told_lines(text) == [2, 4, 5, 6, 7, 10, 10, 11, 11, 12, 12, 14, 15, 15, 16, 17, 19]
