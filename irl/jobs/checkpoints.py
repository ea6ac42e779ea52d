"""Looking at the checkpoints of one training, one after the other, against one reference.

1. `survey` loads every checkpoint before work begins: all must read text alike, with one reference.
2. `visits` draws the reference's answers once. Each checkpoint answers the same prompts with the
   same seed; both policies score its answers and the reference's. What an audit of this checkpoint
   with the same settings would draw is what is drawn here.
3. At each checkpoint: drift, entropy, length, and the term reward that its own answers ask for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pydantic import Field

from irl.config import Chat, Fitting, Loading, RecoverSettings, Sampling, Settings
from irl.data import PromptRow, Table
from irl.engine.engine import HERE, Engine
from irl.engine.local import Workshop, sample_side
from irl.engine.shards import Progress
from irl.errors import PolicyError
from irl.evaluation.drift import drift
from irl.evaluation.series import Heard, mean_of
from irl.jobs.answers import Answers
from irl.jobs.clock import Clock
from irl.jobs.recovery import fit_figures
from irl.jobs.scoring import answer_counts, asked_of, scored_answers
from irl.policies.pair import load_pair, template_sha256
from irl.policies.served.policy import served_caveats
from irl.records import Caveat, Checkpoint, Estimate
from irl.recovery.log_ratio import fit_terms
from irl.rewards.words import words
from irl.runs import RunFolder

Measured = dict[tuple[str, str], Estimate | None]
"By measure and name"
KL_MEASURES = (
    "sequence_kl_nats",
    "token_kl_nats",
    "reverse_sequence_kl_nats",
    "reverse_token_kl_nats",
)
ENTROPY, TOKENS, WORDS, R2 = "token_entropy_nats", "length_tokens", "length_words", "fit_r2"


class SeriesSettings(Settings):
    """What a series needs: the settings of `irl recover`, but for several checkpoints."""

    aligned: tuple[str, ...]
    reference: str | None = None
    prompts: str | None = None
    prompt_limit: int | None = Field(None, ge=1)
    chat: Chat = "auto"
    seed: int = Field(0, ge=0)
    loading: Loading = Loading()
    sampling: Sampling = Sampling()
    fitting: Fitting = Fitting()

    def of(self, aligned: str) -> RecoverSettings:
        """The settings that one checkpoint is looked at with."""
        return RecoverSettings.checked({**self.model_dump(), "aligned": aligned})


@dataclass(frozen=True)
class Surveyed:
    """What a checkpoint is, and how it reads."""

    policy: Checkpoint
    reference: Checkpoint
    template: str | None
    eos_ids: frozenset[int]
    context_tokens: int
    caveats: tuple[Caveat, ...]
    "of sides that are served"


def survey(
    settings: SeriesSettings, sources: Sequence[str], *, weights: bool = True
) -> list[Surveyed]:
    """Load every checkpoint once, or without its weights, and let it go.

    Raises:
        PolicyError: one cannot be loaded, or not be compared with the others.
    """
    found: list[Surveyed] = []
    for source in sources:
        pair = load_pair(source, settings.reference, settings.loading, weights=weights)
        one = Surveyed(
            pair.aligned.checkpoint,
            pair.reference.checkpoint,
            template_sha256(pair.tokenizer),
            pair.eos_ids,
            pair.context_tokens,
            tuple(served_caveats(pair.aligned, pair.reference)),
        )
        if found and (difference := _difference(found[0], one)):
            raise PolicyError(f"{sources[0]} and {source} are not of one series: {difference}.")
        found.append(one)
    return found


@dataclass(frozen=True)
class Visit:
    """What is kept of a checkpoint when the next one is loaded."""

    heard: Heard
    measured: Measured
    counts: dict[str, int]


def visits(
    run: RunFolder,
    settings: SeriesSettings,
    sources: Sequence[str],
    table: Table[PromptRow],
    clock: Clock,
    progress: Progress,
    engine: Engine = HERE,
) -> Iterator[Visit]:
    """Draw, score, measure and fit, checkpoint by checkpoint; finished shards are reused."""
    asked = None
    shared = Workshop(run.parts, settings.sampling, settings.seed, progress, engine)
    for at, source in enumerate(sources):
        with clock.stage("loading"):
            pair = load_pair(
                source, settings.reference, settings.loading, weights=engine.models_here
            )
        asked = asked or asked_of(run, pair, table, settings.of(source))
        own = replace(shared, folder=run.parts / f"at-{at:03d}")
        with clock.stage("sampling"):
            theirs = sample_side(pair, "reference", asked.encoded, shared)
            ours = sample_side(pair, "aligned", asked.encoded, own)
        with clock.stage("scoring"):
            answers = scored_answers(pair, asked, pa.concat_tables([ours, theirs]), own)
        counts = answer_counts(answers, pair, asked.refused)
        run.log("checkpoint", source=source, **counts)
        with clock.stage("recovery"):
            yield _judged(answers, settings.of(source), counts)


def _difference(first: Surveyed, other: Surveyed) -> str:
    """Why two checkpoints are not of one series; empty if they are.

    Their tokenizers are those of the reference, or the pairs would not have been loaded.
    """
    if first.reference.sha256 != other.reference.sha256:
        return "the references that they name are not the same; give --reference"
    if first.template != other.template:
        return "their chat templates differ"
    if first.eos_ids != other.eos_ids:
        return "different tokens end their answers"
    if first.context_tokens != other.context_tokens:
        return f"they read {first.context_tokens} and {other.context_tokens} tokens"
    return ""


def _judged(answers: Answers, settings: RecoverSettings, counts: dict[str, int]) -> Visit:
    fit = fit_terms(
        answers.texts,
        answers.returns,
        answers.prompt,
        answers.fold(settings.fitting.n_folds),
        settings.fitting,
        settings.seed,
    )
    measured = _moved(answers, settings.seed) | _own(answers, settings.seed)
    measured[R2, ""] = fit_figures(fit, answers, settings).r2
    return Visit(Heard(answers.texts, answers.returns, answers.prompt, fit), measured, counts)


def _moved(answers: Answers, seed: int) -> Measured:
    prompts = [answers.prompt_ids[at] for at in answers.prompt]
    found = drift(answers.log_ratios, answers.pieces, answers.aligned, prompts, seed)
    return {(name, ""): getattr(found, name, None) for name in KL_MEASURES}


def _own(answers: Answers, seed: int) -> Measured:
    """Entropy and length of each policy's own answers."""
    measured: Measured = {}
    for source, mine, nats in (
        ("aligned", answers.aligned, answers.aligned_nats),
        ("reference", ~answers.aligned, answers.reference_nats),
    ):
        rows = np.flatnonzero(mine)
        surprise = np.array([-nats[at].sum() for at in rows])
        tokens = np.array([float(len(nats[at])) for at in rows])
        lengths = np.array([float(len(words(answers.texts[at]))) for at in rows])
        each, prompt = np.ones(len(rows)), answers.prompt[rows]
        measured[ENTROPY, source] = mean_of(surprise, tokens, prompt, seed)
        measured[TOKENS, source] = mean_of(tokens, each, prompt, seed)
        measured[WORDS, source] = mean_of(lengths, each, prompt, seed)
    return measured
