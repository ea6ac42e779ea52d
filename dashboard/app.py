"""The dashboard's entry script: page config and navigation, nothing else."""

import streamlit as st

from dashboard.loading import PAGE_OF, Run
from dashboard.selection import Selection
from dashboard.views import (
    accuracy,
    attributions,
    compare,
    drift,
    export,
    run,
    runs,
    training,
    trust,
    workbench,
)

MAX_WIDTH_PIXELS = 1200


def _open(chosen: Run) -> None:
    title = PAGE_OF.get(chosen.command, run_page.title)
    page = next(one for one in pages if one.title == title)
    st.switch_page(page, query_params=Selection(chosen.name).to_query())


def _runs() -> None:
    runs.render(_open)


# No icon here nor on a page: the browser would fetch it for the tab from fonts.gstatic.com.
st.set_page_config(page_title="irl", layout="wide")
runs_page = st.Page(_runs, title="Runs", url_path="runs", default=True)
run_page = st.Page(run.render, title="Audit", url_path="run")
attributions_page = st.Page(attributions.render, title="Attributions", url_path="attributions")
accuracy_page = st.Page(accuracy.render, title="Reward accuracy", url_path="accuracy")
drift_page = st.Page(drift.render, title="Policy drift", url_path="drift")
training_page = st.Page(training.render, title="Ensembles and RLHF", url_path="training")
trust_page = st.Page(trust.render, title="Trust", url_path="trust")
compare_page = st.Page(compare.render, title="Compare", url_path="compare")
workbench_page = st.Page(workbench.render, title="Workbench", url_path="workbench")
export_page = st.Page(export.render, title="Export", url_path="export")
pages = [runs_page, run_page, attributions_page, accuracy_page, drift_page, training_page]
pages += [trust_page, compare_page, workbench_page, export_page]
page = st.navigation(pages, position="top")
with st.container(horizontal_alignment="center"), st.container(width=MAX_WIDTH_PIXELS):
    page.run()
