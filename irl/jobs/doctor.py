"""The job `irl doctor`."""

from irl.config import ScoreSettings
from irl.policies.doctor import examine
from irl.policies.pair import load_pair
from irl.policies.quiet import quiet_libraries
from irl.records import Check


def run_doctor(settings: ScoreSettings) -> list[Check]:
    """Load the pair and examine it.

    Raises:
        PolicyError: the pair cannot even be loaded; the message says why.
    """
    quiet_libraries()
    return examine(load_pair(settings.aligned, settings.reference, settings.loading))
