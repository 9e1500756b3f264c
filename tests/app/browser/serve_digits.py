"""Serve digits and prompts with a stand-in for the model that read them: `python -m tests.app.browser.serve_digits DIR`.

This needs a process of its own: Dash gives the callbacks of imported modules to the first app of a process, so an app
that is served from the tests' process lacks them if another test has already used one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import saefari.pipeline.live.predict
from app.main import main
from tests.app.image_tree import predict_digit, write_digits, write_prompts

if __name__ == "__main__":
    output = Path(sys.argv[1])
    write_digits(output)
    write_prompts(output)
    saefari.pipeline.live.predict.predict_image = predict_digit  # type: ignore[assignment]
    raise SystemExit(main(["--output-dir", str(output), "--no-browser", "--port", "8150"]))
