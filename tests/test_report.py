"""The report: complete, escaped, honest about what is unknown or unreliable, and one file."""

import base64
import re
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

from nmcmc.plots import png
from nmcmc.report import FIGURES, write_report


def estimate(value, error, **more):
    return {"value": value, "error": error, "tau_int": 0.55, "tau_int_error": 0.01, "reliable": True, "why": "", **more}


def make_summary(**changes):
    observables = {
        "energy_per_spin": estimate(-1.4532, 0.0011, exact=-1.4521),
        "binder": estimate(0.61, 0.002, exact=None),
        "my_own_quantity": None,
    }
    summary = {
        "lattice": "16x16",
        "beta": 0.44068679,
        "n_samples": 100000,
        "ess_fraction": estimate(0.9812, 0.0004),
        "kl": estimate(0.0095, 0.0003),
        "log_z": estimate(237.22, 0.01, exact=237.25),
        "entropy_per_spin": None,
        "acceptance_rate": 0.945,
        "observables": observables,
        "baseline": {"name": "wolff", "observables": {"energy_per_spin": estimate(-1.4510, 0.0022, exact=-1.4521)}},
        "mode_drop": None,
        "seconds": {"train": 95.0, "sample": 12.0, "baseline": 3.0},
        "versions": {"nmcmc": "0.1.0"},
        "seed": 7,
    }
    return summary | changes


class Page(HTMLParser):
    """The text of each table row, the images and the tags left open."""

    VOID = ("meta", "img", "br")

    def __init__(self, html):
        super().__init__()
        self.rows, self.images, self.open, self.text = [], [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, start):
        return next(row for row in self.rows if row[0].startswith(start))


def written(tmp_path, summary, figures=None, **options):
    write_report(tmp_path / "report.html", "A run", summary, figures or {}, **options)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_observables_stand_beside_exact_values_and_wolff(tmp_path):
    page = written(tmp_path, make_summary())
    energy = page.row("Energy per spin")
    assert energy[1:] == [
        "−1.4532(11)", "−1.4510(22)", "−1.4521", "−1.0", "+0.5", "−0.9", "0.550(10)", "0.550(10)",
    ]  # fmt: skip
    assert page.row("Binder cumulant")[1:] == ["0.6100(20)", "—", "—", "—", "—", "—", "0.550(10)", "—"]
    assert "The results agree: no quantity deviates by more than 1.0 σ" in page.text
    assert "Do not trust" not in page.text


def test_what_is_unknown_is_a_dash(tmp_path):
    page = written(tmp_path, make_summary())
    assert page.row("Mode-drop check")[1] == "—"
    assert page.row("Entropy per spin S/N")[1:] == ["—", "—", "—"]
    assert page.row("Variance of log w")[1] == "—"
    assert page.row("my own quantity")[1:] == ["—"] * 8
    for forbidden in ("None", "nan", "Undefined"):
        assert forbidden not in page.text


def test_free_energy_quality_and_time(tmp_path):
    page = written(tmp_path, make_summary())
    assert page.row("log Z")[1:] == ["237.220(10)", "237.25", "−3.0"]
    assert page.row("KL divergence")[1] == "0.00950(30)"
    assert page.row("Acceptance rate, measured")[1] == "0.945"
    assert page.row("total")[1] == "110 s"
    assert "16 × 16" in page.text


def test_disagreement_is_said(tmp_path):
    summary = make_summary(observables={"energy_per_spin": estimate(-1.44, 0.001, exact=-1.45)}, baseline=None)
    page = written(tmp_path, summary)
    assert "The results do not agree: the largest deviation is 10.0 σ" in page.text


def test_unreliable_estimates_are_listed(tmp_path):
    stuck = estimate(0.6, 0.0, reliable=False, why="chain 2 never moves")
    summary = make_summary(baseline={"name": "wolff", "observables": {"m2": stuck}}, kl=estimate(1, 2, reliable=False))
    page = written(tmp_path, summary, warnings=["training stopped early"])
    assert "Do not trust everything on this page" in page.text
    for sentence in ("baseline m2: chain 2 never moves", "kl: not reliable", "training stopped early"):
        assert sentence in page.text


def test_a_remark_is_no_warning(tmp_path):
    summary = {"observables": {"correlation_length": {"value": 176, "error": 1, "reliable": True, "why": "it is long"}}}
    page = written(tmp_path, summary)
    assert "correlation length: it is long." in page.text
    assert "Do not trust" not in page.text


def test_empty_summary_still_makes_a_page(tmp_path):
    page = written(tmp_path, {})
    assert page.row("ess_fraction")[1] == "—"


def test_text_is_escaped(tmp_path):
    summary = make_summary(lattice="<script>", versions={"<b>": "<i>"})
    write_report(tmp_path / "a.html", "<script>alert(1)</script>", summary, {})
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<b>:|<i>", html)


def test_page_is_self_contained_and_explains_every_figure(tmp_path):
    figures = {name: png(Figure(figsize=(1, 1))) for name in FIGURES}
    page = written(tmp_path, make_summary(), figures)
    assert len(page.images) == len(FIGURES)
    for source in page.images:
        assert source.startswith("data:image/png;base64,")
        assert base64.b64decode(source.split(",")[1]).startswith(b"\x89PNG")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in html
    assert html.count("<figcaption>") == len(FIGURES)


def test_unknown_figure_and_existing_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no place for \['spectrum'\]"):
        write_report(tmp_path / "a.html", "t", {}, {"spectrum": b""})
    assert list(tmp_path.iterdir()) == []
    write_report(tmp_path / "a.html", "t", {}, {})
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_report(tmp_path / "a.html", "t", {}, {})
    write_report(tmp_path / "a.html", "new", {}, {}, overwrite=True)
    assert "new" in (tmp_path / "a.html").read_text(encoding="utf-8")
