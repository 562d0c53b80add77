"""Claims in files and in pyproject.toml reach every sampler that they name, and none is passed over."""

import pytest

from verify.command import main
from verify.errors import TargetError
from verify.request import Request, one_sampler
from verify.targets import find

EULER = """
def {name}(model, x, sigmas):
    for high, low in zip(sigmas[:-1], sigmas[1:]):
        x = x + {gain} * (low - high) * (x - model(x, high * x.new_ones(len(x)))) / high
    return x
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(path, *names, claim=""):
    texts = [EULER.format(name=name, gain="1.0") for name in names]
    path.write_text(claim + "".join(texts), encoding="utf-8")


@pytest.mark.parametrize("claim", ["CLAIM = 2\n", 'CLAIM = {"order": 2}\n'])
@pytest.mark.parametrize("names", [("sample",), ("sample_a", "sample_b")])
def test_a_claim_of_a_file_holds_for_all_its_samplers(folder, claim, names):
    write(folder / "mine.py", *names, claim=claim)
    assert [target.claim for target in find("mine.py")] == [2] * len(names)


def test_a_claim_that_is_no_order_is_refused(folder):
    write(folder / "mine.py", "sample", claim='CLAIM = "2"\n')
    with pytest.raises(TargetError, match="write an order, CLAIM = 2"):
        find("mine.py")


def test_names_of_one_sampler():
    assert one_sampler("mine:sample_a", "mine.py:sample_a")
    assert one_sampler("lib.mine:sample_a", "src/lib/mine.py:sample_a")
    assert one_sampler("./src/mine.py:sample_a", "src/mine.py:sample_a")
    assert one_sampler("mine:sample_a", "mine.py:sample_a eta=1")
    assert not one_sampler("mine:sample_a", "mine.py:sample_b")
    assert not one_sampler("src/mine.py:sample", "lib/mine.py:sample")
    claims = {"mine:sample_a": 2}
    assert Request("mine.py", claims=claims).claimed("mine.py:sample_a") == 2
    assert Request("mine.py", claims=claims).claimed("mine.py:sample_b") is None
    assert Request("mine.py", claim=1, claims=claims).claimed("mine.py:sample_a") == 1


def test_what_a_request_would_judge():
    assert Request("mine:*").covers("mine:sample_gone")
    assert Request("mine.py").covers("mine:sample_gone")
    assert not Request("mine:sample_a").covers("mine:sample_gone")
    assert not Request("mine:*").covers("mine:sample_gone eta=1")
    assert not Request("mine:*", {"eta": 1}).covers("mine:sample_gone")
    assert Request("mine:*", {"eta": 1}).covers("mine:sample_gone eta=1")


def test_samplers_that_vanish_fail(folder, capsys):
    lib, lock = folder / "vanishing.py", folder / "lock.toml"
    write(lib, "sample_a", "sample_b")
    audit = ["audit", "vanishing.py", "--baseline", str(lock), "--jobs", "1"]
    assert main(audit) == 2
    assert "there is no such file; write it with --update" in capsys.readouterr().err
    assert main([*audit, "--update"]) == 0
    write(lib, "sample_a")
    assert main(audit) == 1
    assert "vanishing.py:sample_b: removed" in capsys.readouterr().err
    assert main([*audit, "--update"]) == 0 and "sample_b" not in lock.read_text(encoding="utf-8")
    project = folder / "pyproject.toml"
    project.write_text('[tool.solvergen.claims]\n"vanishing:sample_b" = 1\n', encoding="utf-8")
    capsys.readouterr()
    assert main(["audit", "vanishing.py", "--jobs", "1"]) == 2
    assert "there is no such sampler" in capsys.readouterr().out


def test_pages_are_asked_for_before_anything_is_judged(folder, monkeypatch, capsys):
    write(folder / "mine.py", "sample")
    monkeypatch.setattr("verify.report.site.importlib.util.find_spec", lambda name: None)
    assert main(["audit", "mine.py", "--html", "page.html"]) == 2
    assert "pip install -c constraints.txt -e '.[pages]'" in capsys.readouterr().err


def test_a_mistyped_module_is_not_to_be_installed(folder, capsys):
    assert main(["audit", "nomod_of_mine:sample", "--jobs", "1"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "there is no nomod_of_mine.py here" in said and "pip install" not in said


def test_a_key_of_a_file_speaks_for_all_of_its_samplers():
    claims = {"src/mine.py": 1, "mine:sample_b": 2}
    request = Request("mine:*", claims=claims)
    assert [request.claimed(f"mine:sample_{n}") for n in "ab"] == [1, 2]
    assert request.claimed("yours:sample_a") is None


def test_what_a_velocity_file_states_of_uniform_grids_is_said_of_its_clock():
    from verify.order.claims import _as_audited

    table = {"exact_start": [4, True]}
    orders = {"uniform": table, "smooth": {"exact_start": [2, True]}, "arbitrary": table}
    assert _as_audited({"ORDER": orders, "INTEGRAND": "data"}) == orders
    found = _as_audited({"ORDER": orders, "INTEGRAND": "velocity"})
    assert found["uniform"] == {"exact_start": [2, True]} and found["arbitrary"] == table


@pytest.mark.parametrize(
    "words",
    [
        ("--claim", "-1"),
        ("--claim", "two"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("--memory", "inf"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(folder, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["audit", "mine.py", *words])
    assert words[1] in capsys.readouterr().err
