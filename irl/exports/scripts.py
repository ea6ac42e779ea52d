"""Python files that trainers are pointed at; each finds the reward in the folder beside it.

A reward that reads embeddings needs its base where it was when the reward was fitted.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from irl.errors import RunError

_HEAD = '''"""{about}"""

from pathlib import Path

from irl.exports.functions import RewardFunctions

_reward = RewardFunctions.load(Path(__file__).resolve().parent / "reward")


'''
_BODIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "trl_reward.py": (
            "For TRL: from trl_reward import reward; GRPOTrainer(..., reward_funcs=reward).",
            '''def reward(prompts, completions, **columns):
    """One float for each completion."""
    return _reward(prompts, completions, **columns)
''',
        ),
        "openrlhf_reward.py": (
            "For OpenRLHF: --reward.remote_url openrlhf_reward.py",
            '''def reward_func(queries, prompts, labels, **more):
    """Rewards, the same between 0 and 1 as scores, and what is logged."""
    return _reward.openrlhf(queries, prompts, labels, **more)
''',
        ),
        "verl_reward.py": (
            "For verl: custom_reward_function.path=verl_reward.py",
            '''def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):
    """The score of one answer; extra_info holds its prompt."""
    return _reward.verl(data_source, solution_str, ground_truth, extra_info)
''',
        ),
    }
)


def export_scripts(reward: Path, folder: Path) -> list[Path]:
    """Copy the reward and write one file for each trainer.

    Args:
        reward: the folder of a stored ensemble.
        folder: where to.

    Raises:
        RunError: the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(reward, folder / "reward", dirs_exist_ok=True)
        for name, (about, body) in _BODIES.items():
            file = folder / name
            file.write_text(_HEAD.format(about=about) + body, encoding="utf-8")
            written.append(file)
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}); give another.") from None
    return written
