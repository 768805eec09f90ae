"""One attempt to hand a document to a repository's capture interface (EPCIS 2.0, 12.7: REST bindings).

The answer 202 only says that a job took the document; it is asked until it ended, for by default a job with one wrong
event keeps none. A repository that does not tell of its jobs is believed at 202. Nothing is followed to another host:
the token is for this one. Not here: what is sent, and when again (`exporter.py`).
"""

import asyncio
import json
import ssl
from base64 import b64encode
from http import HTTPStatus
from typing import Any

import aiohttp
from yarl import URL

from gateway.epcis.settings import EpcisConfig, read_secret
from gateway.errors import ConfigError, LinkDown, Rejected

ATTEMPT_S = 60.0  # a document of 256 KiB over a slow line
JOB_S = 120.0
JOB_POLL_S = 1.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_REASON = 300
# What is wrong with the document itself; every other 4xx is about who sends it, how and where to: a person must act.
REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 422)
PASSING = (HTTPStatus.REQUEST_TIMEOUT, 425, HTTPStatus.TOO_MANY_REQUESTS)
HEADERS = {
    "Content-Type": "application/ld+json",
    "GS1-EPCIS-Version": "2.0.0",
    "GS1-CBV-Version": "2.0.0",
    "GS1-Capture-Error-Behaviour": "rollback",
}


class Known(Rejected):
    """The repository has an event of this id already."""


class Capture:
    """The way to one repository."""

    def __init__(self, config: EpcisConfig, *, job_poll_s: float = JOB_POLL_S, attempt_s: float = ATTEMPT_S) -> None:
        self._config = config
        self._url = URL(config.url)
        self._job_poll_s, self._attempt_s = job_poll_s, attempt_s

    def tls(self) -> ssl.SSLContext:
        """Return whom to trust. Raises ConfigError: the authority's file is none. Reads files: call it in a thread."""
        try:
            return ssl.create_default_context(cafile=self._config.ca_file)
        except OSError as error:
            raise ConfigError(f"{self._config.ca_file} holds no certificate authority: {error}") from error

    def session(self, tls: ssl.SSLContext) -> aiohttp.ClientSession:
        """Return a session for attempts, to be closed."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=1))

    async def post(self, session: aiohttp.ClientSession, document: bytes) -> None:
        """Return when the repository has it. Raises Rejected (wrong document), LinkDown (try again) or ConfigError."""
        try:
            async with asyncio.timeout(self._attempt_s):
                async with session.post(
                    self._url, data=document, headers=HEADERS | self._sign_in(), allow_redirects=False
                ) as answer:
                    _judge(answer.status, await _text(answer))
                    job = answer.headers.get("Location")
            if job is not None:
                async with asyncio.timeout(JOB_S):
                    await self._follow(session, job)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise LinkDown(f"{self._url}: {_plain(error)}") from error

    async def probe(self, session: aiohttp.ClientSession) -> None:
        """Ask for nothing but an answer (OPTIONS; a repository need not know it). Raises LinkDown or ConfigError."""
        try:
            async with (
                asyncio.timeout(self._attempt_s),
                session.options(self._url, headers=self._sign_in(), allow_redirects=False) as answer,
            ):
                if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or _passes(answer.status):
                    _judge(answer.status, await _text(answer))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise LinkDown(f"{self._url}: {_plain(error)}") from error

    async def _follow(self, session: aiohttp.ClientSession, job: str) -> None:
        url = self._here(job)
        if url is None:
            return
        while True:
            async with session.get(url, headers=self._sign_in(), allow_redirects=False) as answer:
                if not _passes(answer.status) and _ended(answer.status, await _text(answer)):
                    return
            await asyncio.sleep(self._job_poll_s)

    def _here(self, job: str) -> URL | None:
        """Return the job's address if it is at the same host: the sign-in goes nowhere else."""
        try:
            url = self._url.join(URL(job))
        except ValueError:
            return None
        return url if url.origin() == self._url.origin() else None

    def _sign_in(self) -> dict[str, str]:
        config = self._config
        if config.token_file is not None:
            return {"Authorization": f"Bearer {read_secret(config.token_file)}"}
        if config.username is not None and config.password_file is not None:
            pair = f"{config.username}:{read_secret(config.password_file)}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        return {}


def _ended(status: int, text: str) -> bool:
    """Tell whether a capture job is over, or nothing can be learnt of it. Raises Rejected when it kept nothing."""
    job = _parsed(text) if status == HTTPStatus.OK else None
    if job is None or not isinstance(job.get("running"), bool) or not isinstance(job.get("success"), bool):
        return True
    if not job["running"] and not job["success"]:
        raise Rejected(f"the capture job failed: {_problem(json.dumps(job.get('errors')))}")
    return not job["running"]


def _passes(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in PASSING


def _judge(status: int, text: str) -> None:
    if status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        return
    if status == HTTPStatus.CONFLICT:
        raise Known(f"{status} {_problem(text)}")
    if status in REFUSALS:
        raise Rejected(f"{status} {_problem(text)}")
    if _passes(status):
        raise LinkDown(f"the repository answers {status} {_problem(text)}")
    raise ConfigError(f"the repository answers {status} {_problem(text)}")


async def _text(answer: aiohttp.ClientResponse) -> str:
    body = bytearray()
    while len(body) < MAX_ANSWER_BYTES and (chunk := await answer.content.read(MAX_ANSWER_BYTES - len(body))):
        body += chunk
    return body.decode("utf-8", "replace")


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _problem(text: str) -> str:
    """Return what an answer says is wrong (RFC 7807 or any text), short and on one line."""
    problem = _parsed(text)
    if problem is not None and ("title" in problem or "detail" in problem):
        text = f"{problem.get('title', '')}: {problem.get('detail', '')}"
    return " ".join(text.split())[:MAX_REASON]


def _plain(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or repr(error)
