"""Ask a server, and ask again: back-off for what may pass, words at once for what will not.

Timeouts, broken connections, answers that are cut, and the statuses 408, 425, 429 and 5xx are tried
again after first_wait * 2^n seconds, the half of it by chance so that many askers spread, or after
what the server names in Retry-After if that is longer. The number of attempts is bounded. Any other
status is the server's last word.
"""

import json
import os
import random
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx2

from irl.errors import InputError, ServerError
from irl.policies.served_file import Served

Item = TypeVar("Item")
Result = TypeVar("Result")
Json = dict[str, Any]
_TRANSIENT = frozenset({408, 425, 429})
_SHOWN = 300
"Characters of what a server says"
_OVERLONG = 10
"Times the longest wait: a server that asks for more is given up"
_LOOK_SECONDS = 0.1
"How soon an interruption is noticed"


def _pause(seconds: float, stopped: threading.Event) -> object:
    return stopped.wait(seconds)


@dataclass(frozen=True)
class _Failed:
    """An attempt that may be made again."""

    reason: str
    retry_after_seconds: float = 0.0

    @property
    def kind(self) -> str:
        """The reason without what differs from one failure to the next."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, eq=False)
class Client:
    """Asks one server. Safe to use from several threads."""

    served: Served
    pause: Callable[[float, threading.Event], object] = _pause
    "waits, unless nobody waits for the answer any more"
    jitter: random.Random = field(default_factory=random.Random)
    "moves when a request is sent, and no number"
    counts: Counter[str] = field(default_factory=Counter)
    "requests, and what was tried again by reason"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, path: str, body: Json, stopped: threading.Event | None = None) -> Json:
        """A JSON answer to a JSON body.

        Raises:
            ServerError: the server refuses, or does not answer within the attempts allowed.
        """
        return self._ask("POST", f"{self.served.url}{path}", body, stopped or threading.Event())

    def get(self, path: str) -> Json | None:
        """A JSON answer; None where the server has no such page."""
        parts = urlsplit(self.served.url)
        base = f"{parts.scheme}://{parts.netloc}" if path == "/version" else self.served.url
        return self._ask("GET", f"{base}{path}", None, threading.Event(), absent=True) or None

    def _ask(
        self,
        kind: str,
        url: str,
        body: Json | None,
        stopped: threading.Event,
        *,
        absent: bool = False,
    ) -> Json:
        waited, failed = 0.0, _Failed("nobody waits for the answer")
        for attempt in range(self.served.attempts):
            said = self._once(kind, url, body, absent=absent)
            if not isinstance(said, _Failed):
                return said
            failed = said
            self._count(f"again: {failed.kind}")
            if stopped.is_set():
                break
            if attempt + 1 < self.served.attempts:
                seconds = self._wait_seconds(attempt, failed)
                waited += seconds
                self.pause(seconds, stopped)
        raise ServerError(
            f"The server {self.served.url} gave no usable answer in {self.served.attempts} "
            f"attempts, with {waited:.0f} s of waiting between them (last: {failed.reason}). What "
            "is finished is kept: once it answers, the same command goes on."
        )

    def _once(self, kind: str, url: str, body: Json | None, *, absent: bool) -> "Json | _Failed":
        self._count("requests")
        try:
            answer = self._http.request(kind, url, json=body)
        except httpx2.TimeoutException:
            return _Failed(f"no answer within {self.served.timeout_seconds:g} s")
        except httpx2.TransportError as error:
            return _Failed(f"{type(error).__name__}: {self.plain(str(error))}")
        except httpx2.DecodingError:
            return _Failed("an answer that cannot be decompressed")
        if absent and answer.status_code in (404, 405):
            return {}
        if not answer.is_success:
            return self._refusal(answer)
        said = _object(answer.content)
        return _Failed("an answer that is not whole JSON") if said is None else said

    def _wait_seconds(self, attempt: int, failed: "_Failed") -> float:
        longest = self.served.longest_wait_seconds
        own: float = min(self.served.first_wait_seconds * 2.0**attempt, longest)
        own *= 0.5 + 0.5 * self.jitter.random()
        asked = failed.retry_after_seconds
        if asked > max(longest * _OVERLONG, 1.0):
            raise ServerError(
                f"The server {self.served.url} asks to come back in {asked:.0f} s "
                f"({failed.reason}). What is finished is kept: run the same command then."
            )
        return max(own, asked)

    def _count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def _refusal(self, answer: httpx2.Response) -> "_Failed":
        """The reason of a passing failure.

        Raises:
            ServerError: it will not pass.
        """
        status = answer.status_code
        said = self.plain(answer.text)
        if status in _TRANSIENT or status >= 500:
            return _Failed(f"status {status}: {said}", _retry_after(answer.headers))
        if 300 <= status < 400:
            to = self.plain(answer.headers.get("Location", "elsewhere"))
            raise ServerError(
                f"The server {self.served.url} sends on to {to}; give that address as url."
            )
        raise ServerError(
            f"The server {self.served.url} refuses with status {status}: "
            f"{said or 'no reason'}{_hint(self.served, status)}."
        )

    def plain(self, text: str, most: int = _SHOWN) -> str:
        """One line of what a server says, without the key if the server repeats it.

        Args:
            text: what it says, whole: part of a key would not be known as one.
            most: characters that are kept.
        """
        if key := self._key:
            for written in (key, repr(key)[1:-1], json.dumps(key)[1:-1]):
                text = text.replace(written, "***")
        printable = "".join(char if char.isprintable() else " " for char in text[: 10 * most])
        return " ".join(printable.split())[:most]

    @cached_property
    def _key(self) -> str | None:
        return None if self.served.key_env is None else _read_key(self.served.key_env)

    @cached_property
    def _http(self) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        parts = urlsplit(self.served.url)
        http = httpx2.Client(
            headers=headers,
            verify=parts.scheme == "https",  # else there is nothing to read certificates for
            timeout=self.served.timeout_seconds,
            limits=httpx2.Limits(max_connections=self.served.in_flight),
            trust_env=not _is_here(parts.hostname or ""),
        )
        weakref.finalize(self, http.close)  # connections are kept open for the next request
        return http


def side_by_side(
    work: Callable[[Item, threading.Event], Result], items: Sequence[Item], most: int
) -> list[Result]:
    """What `work` makes of each item, in their order, at most so many at once.

    The first failure is raised, and nothing new is begun then. The threads are daemons: who is
    interrupted does not wait for answers that nobody needs.
    """
    queue = _Queue(work, iter(enumerate(items)))
    threads = [
        threading.Thread(target=queue.run, daemon=True) for _ in range(min(most, len(items)))
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not queue.failed:
                thread.join(_LOOK_SECONDS)
    finally:
        queue.stopped.set()
    if queue.failed:
        raise queue.failed[0]
    return [queue.found[at] for at in range(len(items))]


@dataclass(frozen=True)
class _Queue(Generic[Item, Result]):
    """Items that wait for a thread, and what became of the others."""

    work: Callable[[Item, threading.Event], Result]
    waiting: Iterator[tuple[int, Item]]
    found: dict[int, Result] = field(default_factory=dict)
    failed: list[BaseException] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Take items until none is left, or one has failed."""
        while not self.stopped.is_set():
            with self.lock:
                taken = next(self.waiting, None)
            if taken is None:
                return
            try:
                self.found[taken[0]] = self.work(taken[1], self.stopped)
            except BaseException as error:  # raised where the results are waited for
                self.failed.append(error)
                self.stopped.set()


def _read_key(name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise InputError(
            "The environment variable that key_env names is not set or holds no plain key; export "
            "it first. (What stands there is not repeated: it may be the key itself.)"
        )
    return key


def _hint(served: Served, status: int) -> str:
    """What may be wrong, where the status tells."""
    if status == 404:
        return f"; is {served.url} the address up to /v1, and {served.model} a model of its?"
    if status not in (401, 403):
        return ""
    if served.key_env is None:
        return "; name the environment variable that holds the key by key_env"
    return f"; does the environment variable {served.key_env} hold the right key?"


def _object(content: bytes) -> Json | None:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _retry_after(headers: httpx2.Headers) -> float:
    """Seconds, from a number or a date; 0 where nothing usable is said."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        then = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return 0.0
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)


def _is_here(host: str) -> bool:
    """Whether this is the machine itself, which no proxy reaches for us."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
