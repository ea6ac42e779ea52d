"""The job `irl runs examples`: the small runs that are tracked with the code.

Audits, and trainings (explain/jobs/example_trainings.py). Each is an ordinary run, less what need
not be kept: report.html is mostly plotly.js and can be rendered again, and answers of the pair on
real text could repeat sentences that it learnt from.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from explain.jobs.audit import run_audit
from explain.jobs.example_recoveries import Recoveries, make_recoveries
from explain.jobs.example_trainings import (
    ALIGNED,
    ENSEMBLE,
    PATH,
    PICKED,
    SERIES,
    Trainings,
    make_trainings,
)
from explain.jobs.example_trust import PROMPTS, TRUST, make_trust
from irl.config import AuditSettings, TrainedWith
from irl.engine.shards import Progress, silent
from irl.errors import InputError, RunError
from irl.runs import write_text

MODELS, EXAMPLES = Path("artifacts/models"), Path("artifacts/examples")
MAX_BYTES: Final = 6_000_000
"of all examples together"
SETTINGS: Final[dict[str, Any]] = {
    "prompt_limit": 320,
    "sampling": {"responses_per_prompt": 4},
}
"Less than an audit usually draws: an example shows, it does not measure"
_PAGE: Final = ("report.html",)
_PARTS: Final = tuple(f"{name}.parquet" for name in ("concepts", "one_token", "probes", "segments"))
"Of a full audit; its report holds what they come to"
_ANSWERS: Final = ("responses.parquet", "tokens.parquet")


@dataclass(frozen=True)
class Example:
    """A pair that is audited for readers."""

    pair: Path
    "folder with reference/, aligned/, prompts.jsonl and perhaps heldout_preferences.jsonl"
    about: str
    trained_with: TrainedWith
    answers: bool = True
    "whether the answers may be kept"
    full: bool = False
    "whether it is explained by every means"

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.pair.name

    @property
    def settings(self) -> AuditSettings:
        """The settings of the audit.

        Raises:
            InputError: the pair is not there.
        """
        if not (self.pair / "aligned" / "config.json").is_file():
            raise InputError(f"The pair {self.pair} is not there; `irl organisms build` makes it.")
        labels = self.pair / "heldout_preferences.jsonl"
        flags = {
            "aligned": str(self.pair / "aligned"),
            "reference": str(self.pair / "reference"),
            "prompts": str(self.pair / "prompts.jsonl"),
            "preferences": [str(labels)] if labels.is_file() else None,
            "trained_with": self.trained_with,
            "full": self.full,
        }
        return AuditSettings.read(None, [], SETTINGS | flags)


PAIRS: Final = (
    Example(MODELS / "real-detox", "real text, trained to be civil", "rloo", answers=False),
    Example(
        MODELS / "detox", "the language world, trained to call nobody names", "rloo", full=True
    ),
    Example(MODELS / "null-finetuned", "the language world, plainly fine-tuned", "sft"),
)


TRAININGS: Final = Trainings(
    pair=MODELS / "detox",
    audit="detox",
    align={
        **{"member": 0, "beta": 0.02, "learning_rate": 1e-3, "steps": 44, "batch": 64},
        **{"max_new_tokens": 36, "watched_prompts": 40, "watch_every": 2},
    },
    series={"prompt_limit": 64, "sampling": {"responses_per_prompt": 4}},
    answers={"prompt_limit": 48, "sampling": {"responses_per_prompt": 64}},
)


RECOVERIES: Final = Recoveries(MODELS / "detox", settings=SETTINGS)


def make_examples(
    root: Path = EXAMPLES,
    pairs: Sequence[Example] = PAIRS,
    trainings: Trainings | None = TRAININGS,
    recoveries: Recoveries | None = RECOVERIES,
    *,
    progress: Progress = silent,
) -> Path:
    """Audit every pair afresh; the audits are replaced once all are there and small enough.

    Then the recoveries, and the trainings, in their places: they name each other.

    Raises:
        InputError: a pair is not there.
        RunError: the examples would take too much room, or cannot be written.
    """
    settings = [pair.settings for pair in pairs]
    root.mkdir(parents=True, exist_ok=True)
    # Always the same place: reports of a full audit name the folder in which they were made.
    shutil.rmtree(scratch := root / ".making", ignore_errors=True)
    try:
        made = [scratch / pair.name for pair in pairs]
        for pair, asked, folder in zip(pairs, settings, made, strict=True):
            run = run_audit(asked, folder, progress=progress).run
            run.finish_without([*_PAGE, *_PARTS, *(() if pair.answers else _ANSWERS)])
        _check_size(made)
        for folder in made:
            shutil.rmtree(root / folder.name, ignore_errors=True)
            folder.rename(root / folder.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    names = [pair.name for pair in pairs]
    if recoveries is not None:
        names += make_recoveries(root, recoveries, progress=progress)
    if trainings is not None:
        names += make_trainings(root, trainings)
        names += make_trust(root, ENSEMBLE, trainings.pair)
    _check_size([root / name for name in names])
    write_text(root / "README.md", _readme(pairs, trainings, recoveries))
    return root


def _check_size(runs: Sequence[Path]) -> None:
    size = sum(file.stat().st_size for run in runs for file in run.rglob("*") if file.is_file())
    if size > MAX_BYTES:
        raise RunError(f"The examples take {size:,} bytes; at most {MAX_BYTES:,} are tracked.")


def _readme(
    pairs: Sequence[Example], trainings: Trainings | None, recoveries: Recoveries | None
) -> str:
    rows = "".join(
        f"| {pair.name} | {pair.about} | {'yes' if pair.answers else 'no'} |\n" for pair in pairs
    )
    sampling = SETTINGS["sampling"]
    return f"""# Examples

Finished audits, which the dashboard shows beside your own. Made by `irl runs examples` from the
pairs in `{MODELS}`: {SETTINGS["prompt_limit"]} prompts, {sampling["responses_per_prompt"]} answers
of each policy to each; every setting is in `config.yaml`.

| run | pair | answers kept |
|---|---|---|
{rows}
{_recoveries(recoveries)}{_trainings(trainings)}
Left out: pages, of which `irl runs export {EXAMPLES}/RUN page.html` writes that of an audit again;
tables that reports sum up; and the answers of the pair on real text, which could repeat sentences
that it learnt from.
"""


def _recoveries(recoveries: Recoveries | None) -> str:
    if recoveries is None:
        return ""
    named = ", ".join(recoveries.names)
    return f"""
Recoveries of {recoveries.pair.name} by several methods, five seeds each, without their answers:
{named}.
"""


def _trainings(trainings: Trainings | None) -> str:
    if trainings is None:
        return ""
    return f"""
| run | what it is |
|---|---|
| {ENSEMBLE} | ten members fitted to held-out preferences of {trainings.pair.name} |
| {ALIGNED} | its reference, aligned with one of them at a low price of KL; without its weights |
| {SERIES} | the checkpoints of that training, one after the other |
| {PATH} | the path from the reference of {trainings.pair.name} through the aligned policy |
| {TRUST} | may the ensemble be believed on {trainings.pair.name}? |
| {PROMPTS} | prompts for queries, from a log whose chances are known |
| {PICKED} | the ensemble picks among up to 64 answers of the reference; gold judges |
"""
