"""A small completions server with the protocol of vLLM, and with whatever can go wrong.

It computes with transformers alone, one sequence at a time, so that it is an independent witness.
As vLLM does, it numbers choices, names the log-probability of each prompt token under its id as a
string, starts the prompt with null, gives every prompt of a request the request's seed, includes
the end token in `token_ids`, refuses prompts that leave no room, and applies the generation
defaults of its checkpoint to whatever a request leaves out.
"""

import json
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import PreTrainedModel

HANG_SECONDS = 60.0
Json = dict[str, Any]
Fault = str | None


def healthy(number: int) -> Fault:
    """No request fails."""
    return None


def as_it_is(answer: Json) -> Json:
    """No answer is changed."""
    return answer


@dataclass
class CompletionsServer:
    """Serves a model from a thread of its own, while it is entered.

    `fault` names what happens to the request of a number: "429", "429 after 7" (Retry-After),
    "500", "503", "cut" (JSON that breaks off), "drop" (no answer at all), "hang" (until the
    server ends). `distort` changes an answer that would have been right.
    """

    model: PreTrainedModel
    name: str = "tiny"
    fault: Callable[[int], Fault] = healthy
    distort: Callable[[Json], Json] = as_it_is
    key: str | None = None
    longest: int = 64
    defaults: Json = field(default_factory=dict)
    "of its checkpoint: they fill what a request leaves out"
    insists: Json = field(default_factory=dict)
    "on this, whatever a request says"
    eos_ids: frozenset[int] = frozenset({2})
    noise_nats: float = 0.0
    asked: list[Json] = field(default_factory=list)
    most_at_once: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "CompletionsServer":
        self._own = deepcopy(self.model)  # while it is scored here its attention is another
        self._lock, self._at_once, self._counted = threading.Lock(), 0, threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"serves": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def page(self, path: str) -> Json | None:
        if path == "/v1/models":
            return {"data": [{"id": self.name, "max_model_len": self.longest}]}
        return {"version": "0.0.test"} if path == "/version" else None

    def complete(self, body: Json) -> tuple[int, Json]:
        """The status and the answer to one request."""
        with self._counted:
            self.asked.append(body)
            number = len(self.asked) - 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            fault = self.fault(number)
            if fault is not None:
                return 0, {"fault": fault}
            with self._lock, torch.inference_mode():
                return self._completed(body)
        finally:
            with self._counted:
                self._at_once -= 1

    def _completed(self, body: Json) -> tuple[int, Json]:
        if body["model"] != self.name:
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}
        given = self.defaults | body | self.insists
        for prompt in given["prompt"]:
            if len(prompt) + given["max_tokens"] > self.longest:
                return 400, {"error": {"message": f"maximum context length is {self.longest}"}}
        choices = [self._choice(at, prompt, given) for at, prompt in enumerate(given["prompt"])]
        return 200, self.distort({"id": "cmpl-1", "model": self.name, "choices": choices})

    def _choice(self, index: int, prompt: list[int], given: Json) -> Json:
        drawn = self._drawn(prompt, given)
        ended = drawn[-1] in self.eos_ids | set(given.get("stop_token_ids") or ())
        choice: Json = {"index": index, "text": "?", "finish_reason": "stop" if ended else "length"}
        if given.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = self._scored(prompt)
        if given.get("return_token_ids"):
            choice |= {"prompt_token_ids": prompt, "token_ids": drawn}
        return choice

    def _logits(self, ids: list[int]) -> torch.Tensor:
        return self._own(input_ids=torch.tensor([ids])).logits[0].float()

    def _scored(self, prompt: list[int]) -> list[Json | None]:
        nats = self._logits(prompt).log_softmax(-1)
        ranks = nats.argsort(-1, descending=True).argsort(-1)
        found: list[Json | None] = [None]
        for at in range(1, len(prompt)):
            token = prompt[at]
            value = nats[at - 1, token].item() + self.noise_nats * (-1) ** at
            rank = int(ranks[at - 1, token]) + 1
            found.append({str(token): {"logprob": value, "rank": rank, "decoded_token": "?"}})
        return found

    def _drawn(self, prompt: list[int], given: Json) -> list[int]:
        generator = torch.Generator().manual_seed(given.get("seed") or 0)
        ends = self.eos_ids | set(given.get("stop_token_ids") or ())
        ids: list[int] = []
        while len(ids) < given["max_tokens"] and not (ids and ids[-1] in ends):
            logits = self._logits([*prompt, *ids])[-1] / given.get("temperature", 1.0)
            if (kept := given.get("top_k", 0)) > 0:
                logits[logits < logits.topk(kept).values[-1]] = -torch.inf
            ids.append(int(torch.multinomial(logits.softmax(-1), 1, generator=generator)))
        return ids


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Whoever asked may have gone; stderr belongs to the command under test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    serves: CompletionsServer

    def do_GET(self) -> None:
        page = self.serves.page(self.path)
        self._answer(404 if page is None else 200, page or {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        given, key = self.headers["Authorization"], self.serves.key
        if key is not None and given != f"Bearer {key}":
            return self._answer(401, {"error": f"Invalid key: {given}"})
        if self.path != "/v1/completions":
            return self._answer(404, {"error": "no such page"})
        status, answer = self.serves.complete(body)
        return self._answer(status, answer) if status else self._fail(answer["fault"])

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _fail(self, fault: str) -> None:
        if fault == "hang":
            self.serves.ended.wait(HANG_SECONDS)
        if fault in ("hang", "drop"):
            self.close_connection = True
        elif fault == "cut":
            self._answer(200, {"choices": [{"index": 0}] * 9}, keep=20)
        else:
            status, _, after = fault.partition(" after ")
            headers = {"Retry-After": after} if after else {}
            self._answer(int(status), {"error": f"status {status}"}, headers)

    def _answer(
        self, status: int, said: Json, headers: dict[str, str] | None = None, keep: int = -1
    ) -> None:
        data = json.dumps(said).encode()
        data = data if keep < 0 else data[:keep]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
