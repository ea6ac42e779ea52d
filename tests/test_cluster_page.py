"""docs/cluster.md: its files can be read and agree, and its figures are those of the table."""

import json
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from irl.records import ResultTable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cluster.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def job() -> dict[str, Any]:
    (text,) = blocks("yaml")
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


def flags(command: str) -> dict[str, str]:
    words = shlex.split(command)
    return {
        word: value for word, value in pairwise(words) if word.startswith("--") and word != "--set"
    }


def gpus(group: dict[str, Any]) -> int:
    (container,) = group["template"]["spec"]["containers"]
    return int(container["resources"]["limits"]["nvidia.com/gpu"])


def script() -> str:
    (text,) = blocks("bash")
    return text


def test_the_job_for_kubernetes_has_a_gpu_for_every_worker():
    found = job()
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    cluster, given = found["spec"]["rayClusterSpec"], flags(found["spec"]["entrypoint"])
    (group,) = cluster["workerGroupSpecs"]
    workers = int(given["--workers"]) * int(given["--gpus-per-worker"])
    assert workers == group["replicas"] * gpus(group)
    (container,) = group["template"]["spec"]["containers"]
    per_node = int(given["--workers"]) // group["replicas"]
    assert per_node * int(given["--cpus-per-worker"]) <= int(
        container["resources"]["requests"]["cpu"]
    )


def test_the_head_takes_no_workers_and_every_pod_is_offline_and_sees_the_checkpoints():
    cluster = job()["spec"]["rayClusterSpec"]
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    for group in (head, *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert "models" in mounted
        assert mounted == {volume["name"] for volume in spec["volumes"]}
        wanted = int(container["resources"]["limits"].get("nvidia.com/gpu", 0))
        assert wanted == (0 if group is head else 8), "the driver holds no weights"


def test_the_script_for_slurm_is_bash_and_has_a_gpu_for_every_worker():
    text = script()
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", text, re.M))
    given = flags(text.replace("\\\n", " ").split(" -- ")[1])
    workers = int(given["--workers"]) * int(given["--gpus-per-worker"])
    assert workers == int(asked["nodes"]) * int(asked["gpus-per-node"])
    per_node = int(given["--workers"]) // int(asked["nodes"])
    assert per_node * int(given["--cpus-per-worker"]) <= int(asked["cpus-per-task"])
    assert f"--num-gpus {asked['gpus-per-node']}" in text
    assert "#SBATCH --no-kill\n" in text


def test_both_files_and_the_first_lines_run_the_same_audit():
    told = [job()["spec"]["entrypoint"], script().replace("\\\n", " ").split(" -- ")[1]]
    first = re.search(r"^    irl audit .*?\n\n", PAGE.read_text("utf-8"), re.M | re.S)
    assert first is not None
    told.append(first.group().replace("\\\n", " "))
    of_place = {"--aligned", "--reference", "--prompts", "--out"}
    same = [{k: v for k, v in flags(one).items() if k not in of_place} for one in told]
    assert same[0] == same[1] == same[2]
    assert set(same[0]) == {
        "--engine",
        "--address",
        "--workers",
        "--gpus-per-worker",
        "--cpus-per-worker",
        "--threads-per-worker",
    }
    assert {one["--threads-per-worker"] for one in same} == {same[0]["--cpus-per-worker"]}
    assert all(one.count("--set loading.") == 2 for one in told)


@pytest.mark.parametrize(
    ("gpus", "case"),
    [
        ("8", "8 GPUs, a node fails every 6,335 h, shards of 2,048"),
        ("64", "64 GPUs, a node fails every 6,335 h, shards of 2,048"),
        ("256", "256 GPUs, as many as one driver feeds"),
        ("512", "512 GPUs, a node fails every 6,335 h, shards of 2,048"),
        ("512, a driver that costs nothing", "the driver costs nothing, 512 GPUs"),
    ],
)
def test_the_figures_of_the_page_are_those_of_the_table(gpus: str, case: str):
    file = PAGE.parent / "results" / "cluster.json"
    rows = ResultTable.model_validate(json.loads(file.read_text("utf-8"))).rows
    found = {(row.method, row.metric): row.estimate for row in rows if row.case == case}
    walls = [found[method, "wall (hours)"] for method in ("arithmetic", "simulation")]
    idle = found["arithmetic", "GPU time that is not computing"]
    assert idle is not None
    said = " | ".join(f"{wall.value:.2f}" for wall in walls if wall is not None)
    assert f"| {gpus} | {said} | {idle.value:.0%} |".replace("%", " %") in PAGE.read_text("utf-8")


@pytest.mark.parametrize("needed", ["No cluster of this size was run", "4·10^14", "not measured"])
def test_the_page_says_what_it_rests_on(needed: str):
    assert needed.lower() in PAGE.read_text("utf-8").lower()
