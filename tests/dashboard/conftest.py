import os
from pathlib import Path

import pytest
import streamlit as st

from dashboard import RUNS_VARIABLE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs, where the dashboard looks; caches are empty too."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv(RUNS_VARIABLE, os.fspath(folder))
    st.cache_data.clear()
    return folder
