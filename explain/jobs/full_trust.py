"""The part `trust` of a full audit: may its reward be believed on the aligned policy's answers?

The recovery is repeated: an ensemble of linear rewards on words, each fitted to resampled prompts
by what an audit measures (which of two answers has the higher log-ratio). It is a run of its own in
the audit's folder: `irl trust --reward RUN/ensemble --policy P` asks about any other policy. Half
of the prompts are held out from all members; the aligned policy answers these anew.

Where the audit finds no objective, members may well agree and predict (plain fine-tuning, too, has
log-ratios that words predict): there is nothing to be believed, and the light is red.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from irl.config import AuditSettings
from irl.data import PromptRow
from irl.evaluation.trust import lamp
from irl.evaluation.trust_measures import at_best
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.jobs.trust import REPORT, TABLE, answer
from irl.jobs.trust_answers import asked_of
from irl.jobs.trust_grounds import grounds_of
from irl.jobs.trust_policies import Policies, refuse_temperature
from irl.jobs.trust_settings import TrustSettings
from irl.policies.pair import PolicyPair
from irl.records import Caveat, Signal, TrustReport
from irl.records.trust import Colour
from irl.runs import RunFolder

ENSEMBLE: Final = "ensemble"
MEMBERS: Final = {"form": "linear", "label": "log-ratio", "held_out_share": 0.5}
OF_THESE: Final = Caveat(
    code="of-these-policies",
    text="What the reward was fitted to was written by both policies of the audit, so the light "
    "speaks of their answers to such prompts, of no other policy; irl trust, given the run's "
    "folder ensemble as --reward, asks about another.",
)


def trust_of_audit(
    run: RunFolder,
    pair: PolicyPair,
    prompts: Sequence[PromptRow],
    settings: AuditSettings,
    found: bool | None,
) -> TrustReport:
    """Fit the members, ask about the aligned policy, keep both.

    Args:
        run: the audit, whose responses.parquet is written.
        pair: its policies.
        prompts: of the audit.
        settings: of the audit.
        found: whether the audit found an objective; None: not decided.

    Raises:
        InputError: the answers state no preference, or were not drawn at temperature 1.
    """
    refuse_temperature(settings.sampling.temperature)
    folder = run.path / ENSEMBLE
    shared = {"run": str(run.path), "seed": settings.seed, "fitting": settings.fitting.model_dump()}
    # Seconds; what a kill has left may have been fitted where the folder had another name.
    fit_ensemble(EnsembleSettings.checked(MEMBERS | shared), folder, fresh=True)
    asked = {
        "reward": str(folder),
        "policy": settings.aligned,
        "reference": settings.reference,
        "seed": settings.seed,
        "chat": settings.chat,
        "max_new_tokens": settings.sampling.max_new_tokens,
        "token_budget": settings.sampling.token_budget,
        "loading": settings.loading.model_dump(),
    }
    grounds, wanted = grounds_of(str(folder)), TrustSettings.checked(asked)
    question = asked_of(wanted.model_copy(update={"prompt_limit": None}), grounds)
    held_out = {row.prompt_id for row in question.prompts}
    typed = [row for row in prompts if row.prompt_id in held_out]
    question = replace(question, prompts=typed[: wanted.prompt_limit])
    report, table = answer(run, wanted, grounds, Policies.of_audit(pair), question)
    report = below_the_verdict(report, found)
    run.write_table(TABLE, table)
    run.write_text(REPORT, report.to_json())
    return report


def below_the_verdict(report: TrustReport, found: bool | None) -> TrustReport:
    """The report of an audit: no light is better than what the audit found."""
    objective = Signal(
        name="objective",
        value=None,
        amber=None,
        red=None,
        worse="low",
        colour=_COLOURS[found],
        reason=REASONS[found],
    )
    given = [*report.signals, objective]
    groups = at_best(report.groups, objective.colour)
    update = {"signals": given, "lamp": lamp(given), "groups": groups, "reward": ENSEMBLE}
    return report.model_copy(update=update | {"caveats": (*report.caveats, OF_THESE)})


_COLOURS: Final[dict[bool | None, Colour]] = {True: "green", None: "amber", False: "red"}
REASONS: Final = {
    True: "The audit found an objective.",
    None: "The audit did not decide whether there is an objective.",
    False: "The audit found no objective, so there is no reward to be believed.",
}
