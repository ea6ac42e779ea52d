"""The examples of trust: the light over an aligned policy, and prompts chosen from a log."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from irl.jobs.prompts import choose_prompts
from irl.jobs.prompts_settings import PromptsSettings
from irl.jobs.trust import trust
from irl.jobs.trust_settings import TrustSettings
from irl.organisms.prompted import queries

TRUST: Final = "trust-in-the-ensemble"
PROMPTS: Final = "prompts-for-queries"
LOG, ASKED = "prompted/log.parquet", "prompted/queries.parquet"
"Under the models: which query succeeded under which prompt, and queries that nobody has tried"
_TABLE, _LOGGED, _NEW = "interaction", 240, 60


def make_trust(root: Path, ensemble: str, pair: Path) -> list[str]:
    """Make them afresh under a folder of examples.

    Args:
        root: the folder.
        ensemble: name of the example that is asked about.
        pair: folder with reference/, aligned/ and prompts.jsonl; logs are written beside it.

    Returns:
        Their names.

    Raises:
        IrlError: the pair or the ensemble cannot be used.
    """
    asked = {
        "reward": str(root / ensemble),
        "policy": str(pair / "aligned"),
        "reference": str(pair / "reference"),
        "prompts": str(pair / "prompts.jsonl"),
    }
    trust(TrustSettings.checked(asked), root / TRUST, fresh=True)
    log, new = write_log(pair.parent)
    choice = {"log": log, "queries": new}
    choose_prompts(PromptsSettings.checked(choice), root / PROMPTS, fresh=True)
    return [TRUST, PROMPTS]


def write_log(models: Path) -> tuple[str, str]:
    """A log of trials, and new queries; their files."""
    (models / LOG).parent.mkdir(parents=True, exist_ok=True)
    tried = queries(_TABLE, _LOGGED, seed=3).tried(seed=5)
    pq.write_table(pa.Table.from_pylist(tried), models / LOG)
    new = [{"query": text} for text in queries(_TABLE, _NEW, seed=9).texts]
    pq.write_table(pa.Table.from_pylist(new), models / ASKED)
    return str(models / LOG), str(models / ASKED)
