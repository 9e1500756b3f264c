"""Serve digits and prompts with a stand-in for their model: `python -m tests.app.browser.serve_digits DIR`.

It needs its own process: Dash gives callbacks of imported modules to the first app that answers a request, so an app
in the tests' process would lack them if another test has used an app before.
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
    saefari.pipeline.live.predict.predict_image = predict_digit
    raise SystemExit(main(["--output-dir", str(output), "--no-browser", "--port", "8150"]))
