"""A client from the section `explain.client`, with the checks that need no request."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from saefari.config import Settings
from saefari.config.explanation import Client as ClientSection
from saefari.errors import ConfigError, Problem
from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Backend
from saefari.interp.clients.cost import Prices
from saefari.interp.clients.key import Key
from saefari.log import logger

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def check_client(section: ClientSection, *, needs_vision: bool = False) -> None:
    """Raise ConfigError if a run with this section would fail at its first request; loads and sends nothing.

    needs_vision: requests will contain images.
    """
    if section.kind == "openai":
        Key(section.key_variable)
        return
    problems = []
    if needs_vision:
        message = f"{section.kind} sends no images: use kind: openai with a model that reads images"
        problems.append(Problem("explain.client.kind", message))
    if section.kind == "vllm":
        from saefari.interp.clients.vllm import is_installed

        if not is_installed():
            message = "vllm needs an optional package: pip install 'saefari[vllm]'"
            problems.append(Problem("explain.client.kind", message))
    if problems:
        raise ConfigError(problems)


def build_client(
    section: ClientSection, cache_folder: Path, settings: Settings, *, needs_vision: bool = False
) -> Client:
    """Build the client of a run. Raises ConfigError or ModelError before anything is loaded or sent.

    cache_folder: where answers are kept. settings: precision and device of a model in this process.
    """
    check_client(section, needs_vision=needs_vision)
    is_endpoint = section.kind == "openai"
    return Client(
        _backend(section, settings),
        concurrency=section.concurrency,
        timeout=section.timeout if is_endpoint else None,
        attempts=section.attempts,
        cache=AnswerCache(cache_folder),
        prices=prices_of(section),
        max_cost=section.max_cost,
        vision=is_endpoint,
    )


def prices_of(section: ClientSection) -> Prices | None:
    """Return the prices, if both are given."""
    if section.price_in is None or section.price_out is None:
        return None
    return Prices(section.price_in, section.price_out)


def _backend(section: ClientSection, settings: Settings) -> Backend:
    if section.kind == "local":
        from saefari.interp.clients.local import LocalModel

        return LocalModel(section.model, dtype=settings.dtype, device=settings.device)
    if section.kind == "vllm":
        from saefari.interp.clients.vllm import VLLMModel

        return VLLMModel(section.model, dtype=settings.dtype)
    from saefari.interp.clients.openai_endpoint import OpenAIEndpoint

    assert section.base_url is not None  # checked by the configuration
    address = urlsplit(section.base_url)
    if address.scheme == "http" and section.key_variable and address.hostname not in _THIS_MACHINE:
        logger.warning("explain.client.base_url: the key is sent to %s without encryption", address.netloc)
    return OpenAIEndpoint(section.model, section.base_url, Key(section.key_variable))
