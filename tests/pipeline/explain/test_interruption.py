"""Runs that are killed, interrupted, or run out of money: nothing is lost, and a rerun ends like one run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.commands.cli import FAILED, OK
from tests.interp.endpoint import Endpoint, Received, Reply, completion, error
from tests.pipeline.explain.conftest import latent_files, record_of, sae_folder
from tests.pipeline.explain.test_asking_run import asking as asking  # a fixture
from tests.pipeline.explain.test_asking_run import explain, replies
from tests.pipeline.explain.test_changes import change, same

VOLATILE = {"usage", "seconds", "settings"}
KEYED = dict(os.environ) | {"TEST_KEY": "sk-test", "OMP_NUM_THREADS": "1"}


def start(root: Path) -> subprocess.Popen[str]:
    """Start `saefari explain`. A shell's background jobs ignore SIGINT, and so do their children: undo that."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from saefari.pipeline.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "explain", "--config", str(root / "conf.yaml")]
    return subprocess.Popen(command, env=KEYED, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(root: Path) -> tuple[dict[int, Any], dict[str, Any]]:
    """Latents' files and the record, without what differs from run to run."""
    return same(latent_files(root)), {key: one for key, one in record_of(root).items() if key not in VOLATILE}


def wait_for(server: Endpoint, n_requests: int) -> None:
    for _ in range(900):
        if len(server.requests) >= n_requests:
            return
        time.sleep(0.1)
    raise AssertionError(f"{len(server.requests)} of {n_requests} requests in 90 s")


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_continues_and_ends_like_one_run(asking: Callable[..., Path], stop: signal.Signals) -> None:
    more = {"controls": ["shuffled", "random_sae"], "latents": [13, 24, 32, 39]}
    with Endpoint(replies) as server:
        root = asking(server.url, **more)
        assert explain(root) == OK
        whole, n_whole = outcome(root), len(server.requests)
    for path in (root / "explanations").rglob("*.json"):
        path.unlink()  # the cached answers too
    with Endpoint(replies, seconds=0.05) as server:
        change(root, client=client_of(root) | {"base_url": server.url, "concurrency": 1})
        sent = 0
        for requests in (3, 6):
            sent += requests
            process = start(root)
            wait_for(server, sent)
            process.send_signal(stop)
            printed, errors = process.communicate(timeout=300)
            assert process.returncode == (130 if stop == signal.SIGINT else -signal.SIGKILL), printed + errors
            assert "Traceback" not in errors
            sent = len(server.requests)
        assert explain(root) == OK
        assert len(server.requests) <= n_whole + 2  # what was under way when a run was stopped
    assert outcome(root) == whole


def client_of(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "conf.yaml").read_text())["explain"]["client"]
    return found


def test_money_that_runs_out_is_said_once_and_a_rerun_with_more_continues(
    asking: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def expensive(request: Received) -> Reply:
        text = replies(request).body["choices"][0]["message"]["content"]
        return Reply(completion(text, {"prompt_tokens": 2000, "completion_tokens": 0, "total_tokens": 2000}))

    with Endpoint(expensive) as server:
        root = asking(server.url, latents=[13, 24, 32, 39])
        poor = client_of(root) | {"max_tokens": 100, "price_in": 1e4, "price_out": 1e4, "max_cost": 100.0}
        poor |= {"concurrency": 1}
        change(root, client=poor)
        assert explain(root) == FAILED
        n_sent = len(server.requests)
        assert 0 < n_sent < 20
        printed = capsys.readouterr().out
        assert printed.count("FAILED: ") == 1
        assert "max_cost" in printed
        assert record_of(root)["usage"]["requests"] == n_sent
        change(root, client=poor | {"max_cost": 1e6})
        assert explain(root) == OK
        assert record_of(root)["failures"] == []
        n_all = len(server.requests)
        for path in sae_folder(root).glob("*.json"):
            path.unlink()
        assert explain(root) == OK
        assert len(server.requests) == n_all


def test_a_failure_of_the_control_is_a_failure_and_is_repeated(
    asking: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    latents = [13, 24, 32, 39]
    done: list[Received] = []

    def late(request: Received) -> Reply:
        if len(done) >= limit:
            return error(400, "no more")
        done.append(request)
        return replies(request)

    limit = 10_000
    with Endpoint(late) as server:
        root = asking(server.url, latents=latents, explainers=["prompted"], controls=["shuffled"])
        assert explain(root) == OK
        limit = len(done) + 3  # answers to the latents are stored; three of the control come before the failure
        for path in (root / "explanations").rglob("*.json"):
            path.unlink()
        change(root, controls=["shuffled", "random_sae"])
        assert explain(root) == FAILED
        assert "(random SAE)" in capsys.readouterr().out
        assert {one["explainer"] for one in latent_files(root).values()} == {"prompted"}
        limit = 10_000
        assert explain(root) == OK
        assert record_of(root)["failures"] == []
        assert "random_sae" in record_of(root)["scores"]["detection"]


def test_the_cost_of_each_sae_is_its_own(asking: Callable[..., Path]) -> None:
    with Endpoint(replies) as server:
        root = asking(server.url, latents=[13, 24, 32, 39], controls=["shuffled", "random_sae"])
        assert explain(root) == OK
        control = json.loads((sae_folder(root, random=True) / "explanations.json").read_text())
        assert 0 < control["usage"]["requests"] < record_of(root)["usage"]["requests"] == len(server.requests)
