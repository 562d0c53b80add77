"""The gallery itself: what every spec says, the filters of `list` and `gallery`, the page."""

import argparse
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from solvergen import gallery
from solvergen.catalogue import entry
from solvergen.commands.listing import chosen
from solvergen.commands.pages import gallery as command
from solvergen.commands.pages.gallery_page import page

FEW = [
    "ddim",
    "dpmpp_2m",
    "dpmpp_3m_as_published",
    "unipc_2_bh2",
    "sa_solver_p3c4_pece",
    "luan_ostermann_5",
    "flow_heun",
    "ipndm4",
]


def sifted(*words, targets=FEW):
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    args = parser.parse_args(["gallery", "--html", "unused", *words])
    return [one.name for one in chosen(targets, args)]


def numbered(solver):
    """Whether the solver has numbers for each step."""
    return any(parameter.per for parameter in solver.parameters)


@pytest.mark.parametrize("name", gallery.names())
def test_every_spec_says_what_it_is_and_where_it_comes_from(name):
    solver = gallery.load(name)
    source = solver.source
    assert solver.name == name
    assert solver.title and source.authors and source.year and source.where
    assert source.arxiv or source.doi or source.url or source.title
    if not numbered(solver):  # whether any order is kept depends on the numbers
        assert (solver.claim.order is not None) == (solver.noise is None)
    assert ("_as_shipped_by_" in name) <= bool(source.url)


# What publications claim, by family: the name, or the title where it says more, and the order.
CLAIMED = [
    (r"(ddim|ddim_noise|euler_sigma|flow_euler)$", lambda _: 1),
    (r"(?:ab|abm|am|lms|ipndm|ipndm_v|deis_(?:tab|rhoab|logrho))(\d)", int),
    (r"(?:abnorsett|deis|deis_rhork|bdf|unip|flow_ab)_(\d)", int),
    (r"(?:dpmpp|dpm_solver|res)_(?:fast_)?(\d)", int),
    (r"unipc_(\d)", lambda p: int(p) + 1),
    (r"SA-Solver \(P(\d)\)", int),
    (r"SA-Solver \(P(\dC\d)", lambda pc: min(int(pc[0]) + 1, int(pc[2]))),
    (r"dpm_adaptive_\d(\d)", int),
    (r"(pec4|pndm)", lambda _: 4),
    (r"(heunpp|bdia|o_belm)", lambda _: 2),
    (r"(?:ralston|heun|kutta|van_der_houwen|lawson|krogstad|friedli|minchev|cfree)_(\d)", int),
]


@pytest.mark.parametrize("name", gallery.names())
def test_claims_are_the_published_orders(name):
    """A spec whose order is lower than published must not claim the lower one: `--falls-short` lists it."""
    solver = gallery.load(name)
    if solver.noise or solver.langevin or (numbered(solver) and solver.claim.order is None):
        return
    if solver.start.first:  # the published order is that of the rule alone
        return
    texts = (name, solver.title)
    found = [(rule(m[1])) for key, rule in CLAIMED for text in texts if (m := re.match(key, text))]
    assert set(found) <= {solver.claim.order}
    reached = entry(name).true_order >= solver.claim.order
    assert reached or solver.claim.records == "publication"


def test_every_spec_is_short():
    lengths = {
        name: len((gallery.CATALOG / f"{name}.toml").read_text(encoding="utf-8").splitlines())
        for name in gallery.names()
        if not numbered(gallery.load(name))  # each number has a table
    }
    assert max(lengths.values()) <= 50
    assert sorted(lengths.values())[len(lengths) // 2] <= 20


def test_filters():
    assert sifted() == FEW
    assert sifted("--family", "multistep") == ["dpmpp_2m", "dpmpp_3m_as_published", "ipndm4"]
    assert sifted("--family", "predictor-corrector") == ["unipc_2_bh2", "sa_solver_p3c4_pece"]
    assert sifted("--family", "runge-kutta") == ["luan_ostermann_5", "flow_heun"]
    assert sifted("--order", "5") == ["luan_ostermann_5"]
    assert sifted("--integrand", "velocity") == ["flow_heun"]
    assert sifted("--evaluations", "8") == ["luan_ostermann_5"]
    assert sifted("--order", "2", "--family", "multistep") == ["dpmpp_2m", "dpmpp_3m_as_published"]


def test_published_orders_that_are_not_reached():
    short = sifted("--falls-short")
    assert short == ["dpmpp_3m_as_published", "sa_solver_p3c4_pece", "ipndm4"]
    orders = {name: entry(name).true_order for name in short}
    assert orders == {"dpmpp_3m_as_published": 2, "sa_solver_p3c4_pece": 3, "ipndm4": 1}


class Balance(HTMLParser):
    """Tags that are not closed in order, and whatever would need a network."""

    VOID = ("meta", "input")

    def __init__(self):
        super().__init__()
        self.open, self.remote, self.articles = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.remote += [given[key] for key in ("src", "href") if key in given]
        self.remote += [tag] * (tag in ("link", "img", "iframe"))
        self.articles += [given["id"]] if tag == "article" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def test_page_is_whole_and_needs_no_network():
    entries = [entry(name) for name in FEW]
    measured = {"ddim": [(6, 0.2), (12, 0.1)], "dpmpp_2m": [(6, 0.1), (12, 0.0)]}
    text = page(entries, measured)
    parser = Balance()
    parser.feed(text)
    assert not parser.open and not parser.remote and parser.articles == FEW
    assert text.count('class="chart"') == 2
    assert "published 3, true 2" in text and "published 4, true 1" in text
    assert "default-src 'none'" in text


def test_hostile_text_is_escaped(tmp_path):
    text = (gallery.CATALOG / "ddim.toml").read_text(encoding="utf-8")
    path = tmp_path / "odd.toml"
    path.write_text(text.replace('title       = "DDIM"', 'title = "<script>alert(1)</script>"'))
    assert "<script>alert" not in page([entry(str(path))], {})


def test_measured_errors_fall_with_evaluations():
    from solvergen.commands.pages.gallery_errors import measure

    found = measure([entry(name) for name in ("ddim", "unipc_2_bh2", "luan_ostermann_5")])
    for curve in found.values():
        calls, errors = zip(*curve, strict=True)
        assert list(calls) == sorted(calls)
        assert errors[-1] < errors[0] / 4
    assert dict(found["unipc_2_bh2"])[24] < dict(found["ddim"])[24] / 10


def test_page_without_errors_needs_no_torch(tmp_path):
    code = (
        "import argparse, sys\n"
        "from solvergen.commands.pages import gallery\n"
        "parser = argparse.ArgumentParser()\n"
        "gallery.add(parser.add_subparsers())\n"
        f"args = parser.parse_args(['gallery', '--html', {str(tmp_path / 'g.html')!r}, '--no-errors', 'ddim'])\n"
        "args.handler(args)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert "DDIM" in (tmp_path / "g.html").read_text(encoding="utf-8")
