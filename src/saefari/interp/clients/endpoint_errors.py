"""Errors of an endpoint as ClientError: whether another attempt can help, and what the user can do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from saefari.errors import shortened
from saefari.interp.clients.client import ClientError
from saefari.interp.clients.key import Key

_TEMPORARY = (408, 409, 425, 429)
_NOT_CONNECTED = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")


def error_of_sdk(error: Exception, place: str, key: Key) -> ClientError:
    """Translate an exception of the `openai` SDK. place: model and address, for the message."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error_of_status(error.status_code, _message(error), place, key, error.code, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        text = f"{type(cause).__name__}: {shortened(cause)}" if cause is not None else shortened(error)
        lost = type(cause).__name__ not in _NOT_CONNECTED
        what = "the connection broke" if lost else "no connection"
        return ClientError(key.scrub(f"{place}: {what} ({text})"), is_temporary=True, may_cost=lost)
    text = f"{place}: the answer is no chat completion ({type(error).__name__}: {shortened(error)})"
    return ClientError(key.scrub(text), is_temporary=True, may_cost=True)


def error_of_status(
    status: int, message: str, place: str, key: Key, code: str | None = None, headers: Mapping[str, str] | None = None
) -> ClientError:
    """Translate an HTTP status and the message of the server."""
    headers = headers or {}
    text = f"{place}: HTTP {status}: {shortened(ValueError(message))}"
    remedy = ""
    if 300 <= status < 400:
        target = urlsplit(headers.get("location", ""))
        remedy = f"; redirects are not followed: set explain.client.base_url to the new address ({target.netloc})"
    elif status == 401:
        remedy = f"; check the key in {key.variable}" if key.variable else "; the endpoint wants a key: key_variable"
    elif status == 402 or code == "insufficient_quota":
        remedy = "; there is no credit left"
    elif status == 404:
        remedy = "; check explain.client.model and explain.client.base_url"
    about_one_request = status == 403 and any(word in message.lower() for word in ("moderation", "flagged"))
    is_final = bool(remedy) or (status == 403 and not about_one_request)
    return ClientError(
        key.scrub(text + remedy),
        is_temporary=not is_final and (status in _TEMPORARY or status >= 500),
        is_final=is_final,
        retry_after=retry_after(headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait; None if it does not, or in a form that is not known."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = float(headers["retry-after"])
    except KeyError:
        return None
    except ValueError:
        seconds = _seconds_until(headers["retry-after"])
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _seconds_until(date: str) -> float:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return ((when if when.tzinfo else when.replace(tzinfo=timezone.utc)) - datetime.now(timezone.utc)).total_seconds()


def _message(error: Any) -> str:
    """Return the server's message, without the SDK's prefix."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return body if isinstance(body, str) and body else str(error.message)
