"""POST /get_reward as OpenRLHF's remote reward models answer it; served to this machine only.

    {"query": [prompt + answer, ...], "prompts": [...], "labels": [...]}
    -> {"rewards": [...], "scores": [...], "extra_logs": {"member_spread": [...]}}

What cannot be used is answered by status 400 and {"error": one sentence}.
"""

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from irl.errors import IrlError
from irl.exports.functions import RewardFunctions

HOST = "127.0.0.1"
MOST_BYTES = 64 * 2**20
"Of one request"
PATIENCE_SECONDS = 60
"With whoever stops sending"


def reward_server(reward: RewardFunctions, port: int) -> ThreadingHTTPServer:
    """A server that has not started yet; port 0 takes any free one."""
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_SECONDS

        def do_POST(self) -> None:
            """Answer one request."""
            if urlsplit(self.path).path.rstrip("/") != "/get_reward":
                return self._answer(404, {"error": "The only path is /get_reward."})
            try:
                body = self._body()  # outside the lock: whoever sends slowly keeps nobody waiting
                with lock:
                    said = _rewards(reward, body)
            except (IrlError, ValueError, TypeError, AttributeError, RecursionError) as error:
                return self._answer(400, {"error": " ".join(str(error).split())[:300]})
            return self._answer(200, said)

        def log_message(self, *_: object) -> None:
            """Say nothing: trainers ask many times a second."""

        def _body(self) -> bytes:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 < length <= MOST_BYTES:
                raise ValueError(f"A request has 1 to {MOST_BYTES} bytes, not {length}.")
            return self.rfile.read(length)

        def _answer(self, status: int, said: dict[str, Any]) -> None:
            data = json.dumps(said).encode()
            with suppress(OSError):  # whoever asked may have gone
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

    return ThreadingHTTPServer((HOST, port), Handler)


def _rewards(reward: RewardFunctions, body: bytes) -> dict[str, Any]:
    given = json.loads(body)
    if not isinstance(given, dict):
        raise ValueError("A request is one JSON object with the lists query and prompts.")
    query, prompts = _texts(given.get("query")), _texts(given.get("prompts"))
    if query is None or prompts is None or len(query) != len(prompts):
        raise ValueError("query and prompts must be lists of as many strings.")
    if not query:
        return {"rewards": [], "scores": [], "extra_logs": {"member_spread": []}}
    found = reward.openrlhf(query, prompts, given.get("labels"))
    logs = {name: values.tolist() for name, values in found["extra_logs"].items()}
    plain = {name: found[name].tolist() for name in ("rewards", "scores")}
    return {**plain, "extra_logs": logs}


def _texts(value: object) -> list[str] | None:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return value
    return None
