"""The shape of the code: sizes, what an import may cost, and what no file may contain."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("irl", "explain", "dashboard")
HEAVY = ("torch", "transformers", "sklearn")
MAX_FILE_LINES = 350
MAX_BODY_LINES = 50
MAX_CLASS_LINES = 150
MAX_BASES = 2

PICKLE_IMPORT = re.compile(
    r"^\s*(?:import|from)\s+(?:\w+\s*,\s*)*(?:c?pickle|_pickle|cloudpickle|dill)\b",
    re.MULTILINE | re.IGNORECASE,
)
REMOTE_CODE = re.compile(r"trust_remote_code['\"]?\s*[=:]\s*true", re.IGNORECASE)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
LOADED = "import json, sys; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
RUN_COMMAND = """
import runpy, sys
sys.argv = ["irl", *{arguments!r}]
try:
    runpy.run_module("irl", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    assert not stop.code, f"exit code {{stop.code}}"
"""
RESOLVE_NAMES = """
import importlib, json
packages = [importlib.import_module(name) for name in ("irl", "explain")]
early = [m for m in {heavy!r} if m in sys.modules]
names = [(p, name) for p in packages for name in p.__all__ if not name.startswith("_")]
missing = [name for package, name in names if not hasattr(package, name)]
print(json.dumps([early, missing]))
"""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def nodes() -> list[tuple[str, Definition]]:
    """Every class and function of the packages, with the place it stands at."""
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node)
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Definition)
    ]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    if not body:
        return 0
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def last_line_of(code: str, folder: Path) -> object:
    """Runs the code in a fresh interpreter; what its last printed line says, as JSON."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def repository_texts() -> Iterator[tuple[str, str]]:
    """Every tracked or trackable text file; without git, every Python file."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = sources(*PACKAGES, "tests")
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content[:8192]:
            yield str(path.relative_to(ROOT)), content.decode("utf-8", errors="replace")


def test_no_package_file_is_longer_than_350_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(*PACKAGES)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_body_is_longer_than_50_lines():
    lengths = {
        place: body_lines(node)
        for place, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {place: n for place, n in lengths.items() if n > MAX_BODY_LINES} == {}


def test_no_class_is_longer_than_150_lines():
    lengths = {
        place: (node.end_lineno or 0) - node.lineno + 1
        for place, node in nodes()
        if isinstance(node, ast.ClassDef)
    }
    assert {place: n for place, n in lengths.items() if n > MAX_CLASS_LINES} == {}


def test_no_class_has_more_than_two_bases():
    bases = {place: len(node.bases) for place, node in nodes() if isinstance(node, ast.ClassDef)}
    assert {place: n for place, n in bases.items() if n > MAX_BASES} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    ["irl", "irl.errors", "irl.records", "irl.config", "irl.data", "irl.runs", "explain"],
)
def test_light_modules_load_no_heavy_library(module: str, tmp_path: Path):
    code = f"import {module}\n{LOADED.format(heavy=HEAVY)}"
    assert last_line_of(code, tmp_path) == []


@pytest.mark.slow
def test_no_dashboard_module_loads_a_heavy_library(tmp_path: Path):
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources("dashboard")
        if path.name not in {"app.py", "__main__.py"}
    ]
    imports = "\n".join(f"import {name}" for name in names)
    assert last_line_of(f"{imports}\n{LOADED.format(heavy=HEAVY)}", tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["runs", "list"]], ids=" ".join)
def test_commands_that_only_read_load_no_torch(arguments: list[str], tmp_path: Path):
    code = RUN_COMMAND.format(arguments=arguments) + LOADED.format(heavy=("torch",))
    assert last_line_of(code, tmp_path) == []


@pytest.mark.slow
def test_public_names_resolve_lazily(tmp_path: Path):
    code = "import sys\n" + RESOLVE_NAMES.format(heavy=HEAVY)
    early, missing = last_line_of(code, tmp_path)
    assert early == []
    assert missing == []


def test_no_file_imports_pickle_or_trusts_remote_code():
    offenders = [
        name
        for name, text in repository_texts()
        if PICKLE_IMPORT.search(text) or REMOTE_CODE.search(text)
    ]
    assert offenders == []


def test_the_search_for_pickle_and_remote_code_would_find_them():
    library, option = "pickle", "trust_remote_code"
    for text in (f"import {library}", f"  from {library} import loads", f"import os, {library}"):
        assert PICKLE_IMPORT.search(text), text
    for text in (f"{option}=True", f"{option} = True", f'"{option}": true'):
        assert REMOTE_CODE.search(text), text
    assert not PICKLE_IMPORT.search(f"we never import {library}")
