"""Concepts in a terminal: a table with intervals beside random concepts."""

from collections.abc import Iterator, Sequence

from explain.words import printable
from irl.records import ConceptScore, ConceptsReport, Estimate

HEAD = (
    "  layer   score, 95 % interval   random concepts   corrected p   slope   others held fixed"
    "         tells apart   TCAV (random concepts)         fired   concept"
)


def concepts_summary(report: ConceptsReport) -> str:
    """Plain text; characters that a terminal would act on are escaped."""
    return "\n".join(printable(line) for line in _lines(report))


def concept_table(rows: Sequence[ConceptScore]) -> str:
    """One line per concept and layer, as plain text, strongest first."""
    ranked = sorted(rows, key=lambda row: -abs(row.score.value - 0.5) if row.score else 1.0)
    return "\n".join(printable(line) for line in (HEAD, *map(_line, ranked)))


def _lines(report: ConceptsReport) -> Iterator[str]:
    fired, limits = sum(row.fired for row in report.concepts), report.limits
    yield f"Concepts {report.run_id}: {fired} fired"
    yield (
        f"  target {report.target}, slopes in {report.unit} per standard deviation; "
        f"{report.n_answers} answers to {report.n_prompts} prompts, layer "
        f"{', '.join(map(str, report.layers))} of {report.of_layers}"
    )
    yield (
        f"  a concept fires from a score {limits.min_effect:g} away from one half, at corrected p "
        f"<= {limits.nominal:g}, held against {report.random_concepts} random concepts"
    )
    yield ""
    yield from concept_table(report.concepts).splitlines()
    yield ""
    yield from (f"Caveat: {caveat.text}" for caveat in report.caveats)


def _line(row: ConceptScore) -> str:
    if row.score is None or row.score_random is None or row.tcav_random is None:
        apart = "" if row.separates is None else f", AUC {_brief(row.separates)}"
        return f"  {row.layer:5}   not measured: {row.name}: {row.reason}{apart}"
    near = ""
    if row.nearest is not None and row.nearest_correlation is not None:
        near = f" (goes with {row.nearest}, {row.nearest_correlation:+.2f})"
    tcav = f"{_value(row.tcav, '.2f')} ({_range(row.tcav_random)}, p {row.tcav_p:.3f})"
    return (
        f"  {row.layer:5}   {_brief(row.score):20}   {_range(row.score_random):15}   "
        f"{row.p_corrected:11.4f}   {_value(row.slope, '+.2f'):>5}   "
        f"{_brief(row.held_fixed, '+.2f'):23}   {_value(row.separates, '.2f'):>11}   {tcav:28}   "
        f"{'FIRED' if row.fired else '':5}   {row.name}{near}"
    )


def _brief(estimate: Estimate | None, form: str = ".2f") -> str:
    return "–" if estimate is None else f"{estimate:{form}}"


def _value(estimate: Estimate | None, form: str) -> str:
    return "–" if estimate is None else f"{estimate.value:{form}}"


def _range(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.2f} to {pair[1]:.2f}"
