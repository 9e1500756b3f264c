"""Starting the app: address, messages and invalid flags."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.main import main

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(*flags: str) -> Iterator[list[str]]:
    """The lines that the app prints up to its address."""
    command = [sys.executable, str(ROOT / "app" / "main.py"), "--no-browser", *flags]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "http://" in line:
                break
        yield lines
        process.terminate()


def test_a_taken_port_falls_back_to_the_next_free_one_with_a_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running("--output-dir", str(tmp_path), "--port", str(port)) as lines:
            assert f"Port {port} is taken" in lines[0]
            url = "http://" + lines[-1].split("http://")[1].split("/")[0]
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            request = urllib.request.Request(url, headers={"Host": "rebound.example"})
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(request, timeout=30)


def test_listening_on_all_addresses_prints_a_warning(tmp_path: Path) -> None:
    with running("--output-dir", str(tmp_path), "--host", "0.0.0.0", "--port", "18050") as lines:
        assert "Everyone who reaches this machine" in "".join(lines)


@pytest.mark.parametrize("flags", [["--host", "no-such-host.invalid"], ["--port", "99999999"]])
def test_an_impossible_address_is_one_message(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--no-browser", *flags]) == 2
    assert capsys.readouterr().err.startswith("error: cannot listen on")
