"""The command `irl ensemble`."""

from typing import Annotated, Any

import typer

from irl.engine.settings import EngineSettings
from irl.jobs.terminal import nothing_done
from irl.options import Config, Fresh, Json, Out, Seed, Set, with_engine


@with_engine
def ensemble(
    preferences: Annotated[
        str | None, typer.Option(help="Preferences: JSONL, Parquet, CSV or hub id.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="A finished run: its answers, preferred by its reward.")
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="linear, mlp, boosted (needs LightGBM) or transformer.")
    ] = None,
    features: Annotated[str | None, typer.Option(help="words, or embeddings by --base.")] = None,
    base: Annotated[
        str | None, typer.Option(help="What embeds answers, or what transformers start from.")
    ] = None,
    members: Annotated[int | None, typer.Option(min=1, help="How many; default 10.")] = None,
    loss: Annotated[
        str | None, typer.Option(help="bradley-terry, pointwise, generalised or absolute.")
    ] = None,
    diversity: Annotated[str | None, typer.Option(help="bootstrap or seed.")] = None,
    aggregation: Annotated[
        str | None, typer.Option(help="mean, median, min, uwo or quantile.")
    ] = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
    *,
    where: EngineSettings,
) -> None:
    """Fit several rewards to preferences: how right, how sure and how agreed are they?

    The run folder's `reward` can be loaded again; `irl export` gives it to others.
    """
    from irl.config import merged
    from irl.jobs.ensemble_settings import EnsembleSettings

    flags: dict[str, Any] = {
        "preferences": preferences,
        "run": run,
        "form": form,
        "features": features,
        "base": base,
        "loss": loss,
        "diversity": diversity,
        "aggregation": aggregation,
        "seed": seed,
    }
    given = merged(config, set_ or [], flags)
    if members is not None:
        given["learning"] = {**given.get("learning", {}), "seeds": tuple(range(members))}
    settings = EnsembleSettings.checked(given)
    from irl.engine.ray_cluster import engine_of
    from irl.ensembles.told import ensemble_summary
    from irl.jobs.ensemble import fit_ensemble

    with engine_of(where) as engine:
        done = fit_ensemble(settings, out, fresh=fresh, engine=engine)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.model_dump_json(indent=1) if as_json else ensemble_summary(done.report))
    if not as_json:
        typer.echo(f"Reward: {done.run.path / 'reward'}")
