"""Probes in a terminal: a table with intervals, then what else was asked."""

from collections.abc import Iterator

from explain.words import estimate, printable
from irl.records import (
    FlipSearch,
    ProbeFinding,
    ProbesReport,
    TriggerSearch,
    TwoByTwoFinding,
)


def probe_summary(report: ProbesReport) -> str:
    """Plain text; characters that a terminal would act on are escaped."""
    return "\n".join(printable(line) for line in _lines(report))


def _lines(report: ProbesReport) -> Iterator[str]:
    yield f"Probes {report.run_id}: {report.n_fired} fired"
    yield f"  target {report.target}, unit {report.unit}"
    yield (
        f"  within-prompt sd {report.within_prompt_sd:.3f} over {report.n_answers} answers to "
        f"{report.n_prompts} prompts"
    )
    limits = report.limits
    yield (
        f"  a probe fires from {limits.min_effect_sd:g} sd on, at corrected p <= "
        f"{limits.nominal:g}, if its texts are not far off the reference"
    )
    if report.bias:
        yield ""
        yield (
            "  effect   95 % interval         n     in sd   corrected p   nats per token   "
            "fired   probe"
        )
        yield from map(_bias, report.bias)
    for two_by_two in report.two_by_two:
        yield from _two_by_two(two_by_two)
    if report.triggers is not None:
        yield from _triggers(report.triggers)
    if report.flips is not None:
        yield from _flips(report.flips)
    yield ""
    yield from (f"Caveat: {caveat.text}" for caveat in report.caveats)


def _bias(one: ProbeFinding) -> str:
    if one.effect is None or one.effect_sd is None or one.p_corrected is None:
        return f"  not measured: {one.reason}   {one.name}"
    likely = "" if one.edited_nats_per_token is None else f"{one.edited_nats_per_token:.2f}"
    if one.own_nats_per_token is not None:
        likely += f" ({one.own_nats_per_token:.2f})"
    fired = "FIRED" if one.fired else "far off" if one.far_off else ""
    return (
        f"  {one.effect.value:+6.2f}   {one.effect.low:+6.2f} to {one.effect.high:+6.2f}  "
        f"{one.effect.n:6d}   {one.effect_sd:+7.2f}   {one.p_corrected:11.4f}   {likely:>14}   "
        f"{fired:7}   {one.name}"
    )


def _two_by_two(one: TwoByTwoFinding) -> Iterator[str]:
    yield ""
    yield f"{one.name}: {one.goal} (goal), {one.proxy} (proxy)"
    yield f"  {one.statement}"
    for name, found in (
        ("goal", one.goal_weight),
        ("proxy", one.proxy_weight),
        ("interaction", one.interaction),
        ("conflict accuracy", one.conflict_accuracy),
        ("accuracy in distribution", one.accuracy),
    ):
        yield f"  {name:26}{estimate(found, sign='+')}"
    if one.pairs is not None:
        yield f"  {'discordant pairs':26}{one.discordant_pairs} of {one.pairs} given"
    rates = one.rates
    yield f"  {'goal, said':26}{rates.goal_reference:.1%} -> {rates.goal_aligned:.1%} of answers"
    yield f"  {'proxy, said':26}{rates.proxy_reference:.1%} -> {rates.proxy_aligned:.1%} of answers"


def _triggers(found: TriggerSearch) -> Iterator[str]:
    yield ""
    yield f"Triggers: {found.searched} words of the prompts were searched"
    if found.reason:
        yield f"  {found.reason}"
    if found.absent:
        yield f"  not searched, too rare or too common: {', '.join(found.absent)}"
    for one in found.strongest:
        fired = "FIRED" if one.fired else ""
        yield (
            f"  {one.effect_sd:+6.2f} sd   p {one.p_corrected:.4f}   {one.prompts:4d} prompts   "
            f"{fired:7}   {one.word}"
        )


def _flips(found: FlipSearch) -> Iterator[str]:
    yield ""
    yield (
        f"Smallest edits that flip a preference: one word in {found.by_one} of {found.pairs} "
        f"pairs, two in {found.by_two}, more in {found.by_none}"
    )
    for one in found.examples[:3]:
        yield (
            f"  {', '.join(one.edits)}: {one.margin_before:+.2f} -> {one.margin_after:+.2f}, in "
            f'"{one.preferred}"'
        )
