"""The jobs `irl export` and `irl serve`."""

from http.server import ThreadingHTTPServer
from pathlib import Path

from irl.errors import InputError, RunError
from irl.exports.directories import export_directories
from irl.exports.functions import RewardFunctions
from irl.exports.scripts import export_scripts
from irl.exports.server import reward_server
from irl.policies.quiet import quiet_libraries
from irl.rewards.embeddings import Embeddings
from irl.runs import find_run


def export(run: str, to: Path) -> tuple[list[Path], list[str]]:
    """Every export that the ensemble of a run allows.

    Returns:
        What was written; and, in sentences, what could not be and what has to stay where it is.

    Raises:
        InputError: the run holds no ensemble.
        RunError: the folder is not empty or cannot be written.
    """
    quiet_libraries()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(f"{to} is not an empty folder; give another one.")
    folder = find_run(run) / "reward"
    reward = RewardFunctions.load(folder)
    written = export_scripts(folder, to)
    reader = reward.ensemble.reward.features
    base = reader.encoder.folder if isinstance(reader, Embeddings) else None
    notes = [f"The Python files read {base}, which has to stay there."] if base else []
    try:
        directories, left_out = export_directories(reward.ensemble, to)
    except InputError as error:
        return written, [*notes, str(error)]
    return written + directories, notes + ([left_out] if left_out else [])


def server_of(run: str, port: int) -> ThreadingHTTPServer:
    """The HTTP server of a run's ensemble.

    Raises:
        InputError: the run holds no ensemble, or the port is taken.
    """
    quiet_libraries()
    reward = RewardFunctions.load(find_run(run) / "reward")
    try:
        return reward_server(reward, port)
    except OSError as error:
        raise InputError(f"Port {port} cannot be served ({error.strerror}).") from None
