"""Explanations from Neuronpedia's API; successes are kept on disk, failures never are."""

from __future__ import annotations

import asyncio
import json
import os
import re
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any

from saefari.errors import SaeError, shown
from saefari.interp.explainers.neuronpedia_file import Written, first_explanation
from saefari.interp.records import ExplanationError, NotPossibleError
from saefari.store import write_json

ADDRESS = "https://www.neuronpedia.org"
KEY_VARIABLE = "NEURONPEDIA_API_KEY"
"""Environment variable of the key, which is optional."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_AT_ONCE = 8
_ATTEMPTS = 3
_TIMEOUT = 30.0
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_MOST_BYTES = 50_000_000


class _Temporary(Exception):
    """The same request may succeed later. pause: seconds that the server asked to wait."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that the key is sent to one host only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class NeuronpediaApi:
    """The explanations of one SAE: GET /api/feature/{model}/{sae}/{latent}.

    cache: folder for answers; None: they are not kept. address, pause: for tests. Raises SaeError for an invalid id.
    """

    def __init__(
        self, neuronpedia_id: str, cache: Path | None = None, *, address: str = ADDRESS, pause: float = _PAUSE
    ) -> None:
        if not _ID.fullmatch(neuronpedia_id):
            raise SaeError(f"{shown(neuronpedia_id)} is no Neuronpedia id, such as 'gemma-2-2b/12-gemmascope-res-16k'")
        self.id = neuronpedia_id
        self._cache = None if cache is None else cache / neuronpedia_id.replace("/", "--")
        self._address = address
        self._pause = pause
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._slots: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    async def explanation(self, latent: int) -> Written:
        """Return the first explanation of a latent. Raises ExplanationError if there is none or the request failed."""
        stored = self._read(latent)
        if stored is not None:
            return stored
        async with self._slot():
            found = await self._request(latent)
        written = first_explanation(found)
        if written is None:
            raise NotPossibleError(f"Neuronpedia has no explanation of {self.id}/{latent}")
        if self._cache is not None:
            write_json(self._cache / f"{latent}.json", {"description": written.text, "model": written.model})
        return written

    async def _request(self, latent: int) -> dict[str, Any]:
        """Return the answer about a latent; temporary failures are tried again."""
        for attempt in range(_ATTEMPTS):
            try:
                return await asyncio.to_thread(self._get, latent)
            except _Temporary as error:
                if attempt + 1 == _ATTEMPTS or (error.pause or 0) > _LONGEST_PAUSE:
                    raise ExplanationError(f"Neuronpedia, {self.id}/{latent}: {error}") from None
                await asyncio.sleep(error.pause if error.pause is not None else self._pause * 2**attempt)
        raise AssertionError("there is at least one attempt")

    def _get(self, latent: int) -> dict[str, Any]:
        """Send one request. Raises _Temporary or ExplanationError, without the key."""
        key = os.environ.get(KEY_VARIABLE, "").strip()
        headers = {"Accept": "application/json", "User-Agent": "saefari", **({"x-api-key": key} if key else {})}
        request = urllib.request.Request(f"{self._address}/api/feature/{self.id}/{latent}", headers=headers)
        place = f"Neuronpedia, {self.id}/{latent}"
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                raw = response.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 429 or error.code >= 500:
                raise _Temporary(f"HTTP {error.code}", _seconds(error.headers.get("Retry-After"))) from None
            reason = {404: "it has no such latent", 401: f"the key in {KEY_VARIABLE} is refused"}.get(error.code)
            raise ExplanationError(f"{place}: HTTP {error.code}{f', {reason}' if reason else ''}") from None
        except (OSError, HTTPException) as error:
            raise _Temporary(f"no answer ({type(error).__name__})") from None
        except ValueError:  # for example a key with a line break
            raise ExplanationError(f"{place}: the request is invalid; check {KEY_VARIABLE}") from None
        try:
            if len(raw) > _MOST_BYTES:
                raise ValueError("it is too long")
            value = json.loads(raw)
            if not isinstance(value, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            message = f"{place}: the answer is not valid ({type(error).__name__})"
            raise ExplanationError(message, raw[:2000].decode(errors="replace")) from None
        return value

    def _read(self, latent: int) -> Written | None:
        """Return a kept explanation; a damaged file counts as none."""
        if self._cache is None:
            return None
        try:
            value = json.loads((self._cache / f"{int(latent)}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(value, dict) or not isinstance(value.get("description"), str) or not value["description"]:
            return None
        return Written(value["description"], value.get("model") if isinstance(value.get("model"), str) else None)

    def _slot(self) -> asyncio.Semaphore:
        """Return the bound on requests at once in the running event loop."""
        loop = asyncio.get_running_loop()
        if self._slots is None or self._slots[0] is not loop:
            self._slots = loop, asyncio.Semaphore(_AT_ONCE)
        return self._slots[1]


def _seconds(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None if it has none or a date."""
    return float(value) if value is not None and re.fullmatch(r"\d{1,6}", value.strip()) else None
