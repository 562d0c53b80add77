"""Published decimals and long quotients: the order they were made for, with every residual."""

import shutil
from pathlib import Path

import pytest

from solvergen.catalogue import entry_of
from solvergen.cli import main
from solvergen.explanation import orders
from solvergen.loading import load
from solvergen.order import analyse
from solvergen.proof import proved

PUBLISHED = Path(__file__).parents[1] / "data" / "published"


def report(name):
    return analyse(load(str(PUBLISHED / f"{name}.toml")).program)


@pytest.mark.parametrize(
    ("name", "exact", "made_for", "residual"),
    [("dec7", 0, 3, 1e-7), ("dec16", 2, 3, 2.5e-17), ("low_storage_ck", 0, 4, 4.5e-26)],
)
def test_the_order_up_to_the_residual(name, exact, made_for, residual):
    found = report(name)
    assert found.order.value == exact
    assert found.rounded.order == made_for
    assert found.rounded.largest == pytest.approx(residual, rel=0.05)


def test_each_violated_condition_has_its_residual():
    """Σ b − 1 = 10⁻⁷ and Σ b c − 1/2 = ½·10⁻⁷ of Kutta's third-order table in seven decimals."""
    found = report("dec7").rounded
    sizes = {(power, word): size for power, word, size in found.residuals}
    assert sizes[1, (0, ())] == pytest.approx(1e-7, rel=1e-9)
    assert sizes[2, (1, ())] == pytest.approx(0.5e-7, rel=1e-9)
    assert all(power <= 3 for power, _ in sizes)
    assert [size for *_, size in found.residuals] == sorted(sizes.values(), reverse=True)


@pytest.mark.parametrize("name", ["kutta_3", "unipc_3_bh2", "lobatto_iiia_4", "dormand_prince_5"])
def test_exact_tables_have_no_residuals(name):
    """Their leading constants are as small as 10⁻⁶, and theirs all the same."""
    assert analyse(load(name).program).rounded is None


def test_a_wrong_digit_is_no_rounding(tmp_path):
    text = (PUBLISHED / "dec7.toml").read_text().replace("0.6666667", "0.6666767")
    (tmp_path / "dec7.toml").write_text(text)
    assert analyse(load(str(tmp_path / "dec7.toml")).program).rounded is None


def test_a_claim_holds_up_to_the_residual(tmp_path):
    path = shutil.copy(PUBLISHED / "dec7.toml", tmp_path)
    proof = proved(load(str(path)))
    assert proof.fault == ""
    lines = orders(entry_of(proof))
    assert "claims order 3: holds up to the residual" in lines
    assert any(
        line.startswith("rounded      order 3 up to a residual of 1.0e-07") for line in lines
    )
    Path(path).write_text(Path(path).read_text().replace("order=3", "order=4"))
    assert "claims order 4, derived is none (does not converge)" in proved(load(str(path))).fault


def test_zero_instability_is_reported_with_its_roots(capsys):
    path = str(PUBLISHED / "72_unstable.toml")
    assert main(["lint", path]) == 0
    assert "not zero-stable" in (said := capsys.readouterr().err) and "roots 2, 1" in said
    lines = orders(entry_of(proved(load(path))))
    assert any("does not converge" in line and "roots 2, 1" in line for line in lines)
    assert main(["lint", "bdf_2"]) == 0
    assert "zero-stable" not in capsys.readouterr().err
