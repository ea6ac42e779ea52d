"""The job `irl workbench`: score what is typed, against the pair and the reward of an audit.

1. Load the pair that the audit names, and refuse it if it is another by now; load its reward.
2. Read one question a line, score its answers as the audit scored its own, answer in one line.
3. End when nobody can ask any more.

What cannot be answered is answered by a sentence. The dashboard keeps such a process for its page
Workbench, so that no model lives in the dashboard's own.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pydantic import ValidationError

from explain.jobs.explained import prompt_types
from explain.jobs.workbench_reward import Drawing, Kept, PricedReward
from explain.jobs.workbench_scores import Bench
from irl.config import AuditSettings
from irl.data import read_prompts
from irl.errors import InputError, IrlError, first_line
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.quiet import quiet_libraries
from irl.records import AuditReport, Caveat
from irl.records.workbench import TypedQuestion
from irl.runs import as_named, read_record


def converse(run: Path, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end.

    Args:
        run: the folder of an audit.
        questions: one JSON object a line, as `TypedQuestion`.
        answers: {"ready": true} first, then one line to each question: {"answered": ...}, as
            `TypedAnswers`, or {"error": a sentence}.

    Raises:
        InputError: the pair is not the one that was audited; as below, the first line says so.
        PolicyError: it cannot be loaded.
        RunError: the run is no finished audit, or is damaged.
    """

    def say(line: bytes) -> None:
        answers.write(line + b"\n")
        answers.flush()

    try:
        try:
            bench = open_bench(run)
        except IrlError as error:
            say(_line({"error": str(error)}))
            raise
        say(_line({"ready": True}))
        for line in questions:
            say(reply(bench, line))
    except BrokenPipeError:  # whoever asked is gone
        return


def reply(bench: Bench, line: bytes) -> bytes:
    """What is said to one line, whatever it holds."""
    try:
        question = TypedQuestion.model_validate_json(line)
        return _line({"answered": bench.answer(question).model_dump(mode="json")})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        about = f"{first['msg']}{where and f' (at {where})'}"
        return _line({"error": f"This is no question to the workbench: {about}."})
    except IrlError as error:
        return _line({"error": str(error)})
    except Exception as error:  # whatever a model says, the next question may be another
        return _line({"error": f"It could not be scored ({first_line(error)})."})


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said, allow_nan=False).encode()


def open_bench(run: Path) -> Bench:
    """Load what an audit was about.

    Raises:
        InputError: the pair is not the one that was audited.
        PolicyError: it cannot be loaded.
        RunError: the run is no finished audit, or is damaged.
    """
    quiet_libraries()
    report = read_record(run / "report.json", AuditReport)
    about, missing = _here(AuditSettings.checked(report.settings), run)
    pair = load_pair(about.aligned, about.reference, about.loading)
    _refuse_another(pair, report)
    kept = Kept.of(run)
    drawing = Drawing(about.fitting.bootstrap_draws, about.seed)
    priced, unpriced = PricedReward.of(run, kept, lambda: prompt_types(about.prompts), drawing)
    return Bench(
        pair=pair,
        about=about,
        priced=priced,
        chats=_chats(kept, about.prompts),
        spread=0.0 if kept is None else kept.spread,
        caveats=(*missing, *unpriced),
    )


def _here(about: AuditSettings, run: Path) -> tuple[AuditSettings, list[Caveat]]:
    """The settings as they can be followed here; code that comes with a model is not run."""
    loading = about.loading.model_copy(update={"trust_remote_code": False})
    missing = []
    if loading.device.startswith("cuda") and not torch.cuda.is_available():
        text = (
            f"The audit was made on {loading.device}, which is not there; on the CPU numbers "
            "differ by rounding."
        )
        missing.append(Caveat(code="other-device", text=text))
        loading = loading.model_copy(update={"device": "cpu"})
    named = {
        name: path and as_named(run, path)
        for name in ("aligned", "reference", "prompts")
        if (path := getattr(about, name)) is not None
    }
    return about.model_copy(update={**named, "loading": loading}), missing


def _refuse_another(pair: PolicyPair, report: AuditReport) -> None:
    for side in ("aligned", "reference"):
        audited, here = getattr(report.pair, side), getattr(pair, side).checkpoint
        if audited.sha256 != here.sha256:
            raise InputError(
                f"The {side} policy at {here.source} is not the one that was audited: its files "
                "have changed since. Audit the pair again."
            )


def _chats(kept: Kept | None, prompts: str | None) -> bool:
    """Whether all prompts of an audit are chats, by its answers, else by its prompts file."""
    if kept is not None:
        asked = list(kept.prompts.values())
    elif prompts is not None and Path(prompts).is_file():
        asked = [row.prompt for row in read_prompts(prompts).rows]
    else:
        return False
    return bool(asked) and not any(isinstance(prompt, str) for prompt in asked)
