"""Runs, looked at in a browser."""

from typing import Final

RUNS_VARIABLE: Final = "IRL_DASHBOARD_RUNS"
"Environment variable with the folders that hold run folders, separated like PATH"
