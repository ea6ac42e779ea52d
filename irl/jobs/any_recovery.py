"""Recovery by whatever is given: from samples, or from a pair by terms or by heads."""

from pathlib import Path
from typing import Any

from irl.config import PairHeadSettings, RecoverSettings, SamplesSettings, recovery_settings
from irl.engine.engine import HERE, Engine
from irl.engine.shards import Progress, silent
from irl.jobs.pair_recovery import recover_from_pair
from irl.jobs.recovery import RecoveredRun, recover_terms
from irl.jobs.samples_recovery import recover_from_samples


def recover(
    settings: RecoverSettings | PairHeadSettings | SamplesSettings | None = None,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    engine: Engine = HERE,
    **given: Any,
) -> RecoveredRun:
    """Recover a reward into a run folder; a finished run is returned as it is.

    Args:
        settings: all of them; None takes those that are `given` by name.
        out: the run folder; artifacts/runs/<run_id> if None.
        fresh: repeat a finished run.
        progress: told how far it is.
        engine: who samples, scores and fits transformers.
        given: settings of `irl recover`, such as aligned_samples or method.

    Raises:
        InputError: the prompts, samples, preferences or settings cannot be used.
        PolicyError: the pair cannot be scored.
        RunError: the run folder cannot be written or holds another run.
    """
    folder = None if out is None else Path(out)
    match settings or recovery_settings(None, [], given):
        case SamplesSettings() as samples:
            return recover_from_samples(samples, folder, fresh=fresh, engine=engine)
        case PairHeadSettings() as heads:
            return recover_from_pair(heads, folder, fresh=fresh, progress=progress, engine=engine)
        case RecoverSettings() as terms:
            return recover_terms(terms, folder, fresh=fresh, progress=progress, engine=engine)
