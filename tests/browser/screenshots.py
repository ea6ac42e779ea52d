"""`python -m tests.browser.screenshots`: pictures of the dashboard for docs/, on the examples."""

import sys
import tempfile
import time
from pathlib import Path

from dashboard.loading import EXAMPLES
from tests.browser.driver import browser
from tests.browser.test_dashboard import dashboard, says

DOCS = Path(__file__).resolve().parents[2] / "docs"
SETTLED_SECONDS = 3
"Figures are drawn after Streamlit has finished"
PICTURES = {
    "dashboard": ("run?run=detox", 1066, "Objective: found"),
    "dashboard-attributions": ("attributions?run=detox&find=buffoon", 1400, "responses"),
    "dashboard-accuracy": ("accuracy?run=detox", 1600, "Are its odds right?"),
    "dashboard-training": ("training?run=aligned-with-a-weak-member", 1480, "Warnings"),
}


def main() -> None:
    """Open every page and keep what it shows."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        dashboard(EXAMPLES, Path(scratch) / "log.txt") as address,
        browser(Path(scratch) / "profile") as page,
    ):
        for name, (place, height, text) in PICTURES.items():
            page.open(f"{address}/{place}", height=height)
            page.wait_for(says(text))
            time.sleep(SETTLED_SECONDS)
            page.screenshot(DOCS / f"{name}.png")
            sys.stdout.write(f"{DOCS / name}.png\n")


if __name__ == "__main__":
    main()
