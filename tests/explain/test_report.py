"""The report for people, on a page and in a terminal: complete, self-contained and harmless."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from explain.report import MISSING, estimate, found_in_words, render
from explain.results_page import render_table
from explain.summary import printable, recovery_summary, summary
from irl.records import AuditReport, Estimate, RecoveryReport, ResultRow, ResultTable

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}{% for x in y %}"
    "\"' onload='x' &lt; </pre></title>\x1b[31mred\x1b]0;owned\x07\r\n\u202eevil\x9b2J"
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li"),
    *("table", "caption", "tr", "th", "td", "span", "code", "pre"),
}
ATTRIBUTES = {
    ("html", "lang"), ("meta", "charset"), ("meta", "name"), ("meta", "content"),
    ("meta", "http-equiv"), ("p", "class"), ("th", "class"), ("td", "class"), ("span", "class"),
    ("span", "style"),
}  # fmt: skip


def interval(value: float = 0.5) -> dict[str, Any]:
    return {"value": value, "low": value - 0.25, "high": value + 0.25, "n": 12}


def document(text: str = "plain") -> dict[str, Any]:
    """A report in which every free text is `text`, and every list has an entry."""
    checkpoint = {"source": text, "sha256": text, "dtype": text, "n_parameters": 5}
    return {
        "schema": "irl.audit/1",
        "run_id": text,
        "created": text,
        "versions": {text: text},
        "settings": {text: [text, {text: text}], "seed": 0},
        "pair": {"aligned": checkpoint, "reference": checkpoint, "trained_with": text},
        "verdict": {
            "objective_found": None,
            "p_value": None,
            "explained_r2": interval(),
            "explained_sd_nats": interval(),
            "readability": None,
            "statements": [text],
            "caveats": [{"code": text, "text": text}],
        },
        "objectives": [
            {
                "kind": "term",
                "condition": {"prompt_contains": text, "prompt_type": None},
                "terms": [text],
                "weight": interval(),
                "explained_sd_nats": None,
            }
        ],
        "terms": [
            {
                "term": text,
                "weight": weight,
                "low": weight - 0.125,
                "high": weight + 0.125,
                "occurrences": 31,
                "condition": None,
                "token_mean_nats": mean,
            }
            for weight, mean in ((-2.5, -0.25), (1.25, None))
        ],
        "changed": [{"term": text, "reference_rate": 0.125, "aligned_rate": 0.25}],
        "fit": {
            "membership_auc": interval(),
            "r2": interval(),
            "spearman_with_log_ratio": None,
        },
        "accuracy": [
            {
                "scorer": "recovered",
                "labels": text,
                "preference": interval(0.75),
                "auc": None,
                "spearman": None,
                "ece": None,
                "length_controlled": interval(),
            }
        ],
        "aspects": [],
        "aspects_r2": None,
        "drift": {
            **{
                f"{side}{unit}_kl_nats": interval(1.5)
                for side in ("", "reverse_")
                for unit in ("sequence", "token")
            },
            "by_position": [{"position": 0, "kl_nats": 0.5, "n": 3}],
            "top_tokens": [{"token": text, "mean_log_ratio_nats": -1.0, "n": 25}],
            "top_prompts": [{"prompt_id": text, "kl_nats": 2.0}],
        },
        "recovery": [],
        "identifiability": None,
        "gate": [
            {"path": text, "on": "value", "limit": text, "value": text, "passed": False},
            {"path": text, "on": "high", "limit": text, "value": None, "passed": False},
        ],
        "timings_seconds": {text: 1.5},
        "peak_memory_bytes": 1000000,
    }


def report(text: str = "plain", **changes: object) -> AuditReport:
    return AuditReport.model_validate(document(text) | changes)


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def test_hostile_text_stays_text_on_the_page_wherever_it_stands():
    page = Page(render(report(HOSTILE)))
    assert page.tags <= TAGS
    assert page.attributes <= ATTRIBUTES
    shown = " ".join(HOSTILE.split())
    assert page.text.count(shown) >= 20
    assert "{{ 7 * 7 }}" in page.text


def test_the_page_loads_nothing_from_outside():
    page = render(report())
    assert not re.search(r"https?:|//|src=|href=|@import|url\(", page)
    assert "default-src 'none'" in page


def test_every_figure_of_the_report_is_on_the_page():
    text = Page(render(report())).text
    for figure in ("-2.50", "-2.62 to -2.38", "-0.25", "0.750 (0.500 to 1.000, n = 12)", "1.5000"):
        assert figure in text


def test_what_was_not_measured_is_said_and_not_left_out():
    nothing = {"membership_auc": None, "r2": None, "spearman_with_log_ratio": None}
    empty = report(drift=None, fit=nothing, terms=[], changed=[], accuracy=[], gate=[])
    text = Page(render(empty)).text
    assert text.count(MISSING) == 3
    for words in ("Not measured.", "No labels were given.", "No term's weight differs from 0."):
        assert words in text
    assert "Gate" not in text


def test_weaker_terms_are_counted_where_they_are_not_shown():
    many = document()["terms"][:1] * 75
    page = render(report(terms=many))
    assert page.count('class="bar charged"') == 60
    assert "15 weaker terms are in report.json" in page


@pytest.mark.parametrize(
    ("found", "words"),
    [(None, "not decided"), (True, "an objective was found"), (False, "no objective")],
)
def test_the_answer_is_given_in_words(found: bool | None, words: str):
    verdict = document()["verdict"] | {"objective_found": found}
    assert found_in_words(found) == words
    assert f"Objective: {words}" in Page(render(report(verdict=verdict))).text
    assert f"Objective: {words}" in summary(report(verdict=verdict))


def test_an_estimate_is_shown_with_its_interval_and_n():
    value = Estimate(value=0.1234, low=-0.5, high=2.0, n=7)
    assert estimate(value) == "0.123 (-0.500 to 2.000, n = 7)"
    assert estimate(value, 1) == "0.1 (-0.5 to 2.0, n = 7)"
    assert estimate(None) == "not measured"


def test_no_character_that_a_terminal_acts_on_leaves_the_summary():
    text = summary(report(HOSTILE))
    assert {c for c in text if not c.isprintable()} == {"\n"}
    assert r"\x1b[31mred\x1b]0;owned\x07\r\n\u202eevil\x9b2J" in text


def test_the_summary_has_as_many_lines_for_hostile_text_as_for_plain():
    assert len(summary(report(HOSTILE)).splitlines()) == len(summary(report()).splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日本 👍", "plain é 日本 👍"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u202e\u200b\ufeff", r"\u202e\u200b\ufeff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_escaped_and_letters_are_not(text: str, expected: str):
    assert printable(text) == expected


def test_the_summary_begins_with_the_verdict_and_fits_a_screen():
    many = report(terms=document()["terms"] * 20)
    lines = summary(many).splitlines()
    assert len(lines) <= 40
    verdict = next(n for n, line in enumerate(lines) if line.startswith("Objective: "))
    terms = next(n for n, line in enumerate(lines) if line.startswith("Terms paid for"))
    assert verdict < terms
    assert "40 in all" in lines[terms]


def test_the_summary_names_the_limits_that_were_passed_over():
    text = summary(report())
    assert "Gate: 0 of 2 limits kept" in text
    assert "over: plain (high) is not measured, limit plain" in text
    assert "Gate" not in summary(report(gate=[]))


def test_the_summary_says_so_where_no_term_is_paid_for():
    assert "No term is paid for or charged for." in summary(report(terms=[]))


def test_the_summary_of_a_recovery_escapes_the_names_of_files():
    parts = document(HOSTILE)
    recovered = RecoveryReport.model_validate(
        {"run_id": "recover-1", "n_terms": 3} | {key: parts[key] for key in ("fit", "accuracy")}
    )
    text = recovery_summary(recovered)
    assert text.startswith("Recovery recover-1: 3 terms\n")
    assert {c for c in text if not c.isprintable()} == {"\n"}


def test_a_results_table_has_one_line_per_measurement_and_the_reason_of_each_missing_one():
    shared = {"method": "log_ratio", "metric": "auc", "unit": "share"}
    rows = [
        ResultRow(case="a", seeds=[1, 2], estimate=Estimate(**interval()), reason=None, **shared),
        ResultRow(case="b", seeds=[], estimate=None, reason="not given", **shared),
    ]
    table = ResultTable(
        name="t", command="irl results t", created="2025-01-02T03", machine="m", versions={},
        rows=rows,
    )  # fmt: skip
    lines = render_table(table).splitlines()
    assert "irl results t" in "\n".join(lines)
    assert lines[-2:] == [
        "| a | log_ratio | auc | 1, 2 | 0.500 | 0.250 to 0.750 | 12 |",
        "| b | log_ratio | auc | - | - | not given | |",
    ]
