"""The command `irl score`."""

import typer

from irl.engine.settings import EngineSettings
from irl.jobs.terminal import progress
from irl.options import Aligned, Config, Fresh, Out, Prompts, Reference, Seed, Set, with_engine


@with_engine
def score(
    aligned: Aligned = None,
    reference: Reference = None,
    prompts: Prompts = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    *,
    where: EngineSettings,
) -> None:
    """Sample from a pair and write nats per token: responses.parquet and tokens.parquet."""
    from irl.config import ScoreSettings

    flags = {"aligned": aligned, "reference": reference, "prompts": prompts, "seed": seed}
    settings = ScoreSettings.read(config, set_ or [], flags)
    from irl.engine.ray_cluster import engine_of
    from irl.jobs.scoring import score as run_score

    with engine_of(where) as engine:
        run = run_score(settings, out, fresh=fresh, progress=progress(), engine=engine)
    typer.echo(f"Scores: {run.path / 'responses.parquet'}, {run.path / 'tokens.parquet'}")
