"""The synthesised image on the page Latent."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from app.pages.latent.parts.synthesised import synthesised
from app.server import create_app
from app.shared.data.saes import Sae
from tests.app.image_tree import encoded, write_digits
from tests.app.rendered import page, text

PNG = encoded(np.full((8, 8, 3), 200, dtype=np.uint8))
FIGURES = {"activation": 2.125, "strongest_real": 1.75, "others_mean": 0.0625}


def write(folder: Path, png: bytes = PNG, **more: Any) -> Sae:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "2.json").write_text(json.dumps({"explanation": "Ink.", **more}))
    (folder / "2.png").write_bytes(png)
    return Sae("id", "m", 3, "3k", (), None, None, folder)


def test_the_image_is_shown_with_three_figures(tmp_path: Path) -> None:
    shown = text(synthesised(write(tmp_path, synthesis=FIGURES), 2))
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in shown
    for figure in ("2.12", "1.75", "0.0625"):
        assert f'"{figure}"' in shown


def test_nothing_is_shown_without_an_image_figures_or_a_picture(tmp_path: Path) -> None:
    assert synthesised(write(tmp_path / "a"), 2) is None
    assert synthesised(write(tmp_path / "b", synthesis={"activation": "<b>"}), 2) is None
    assert synthesised(write(tmp_path / "c", b"<script>alert(1)</script>", synthesis=FIGURES), 2) is None
    assert synthesised(write(tmp_path / "d", synthesis=FIGURES), 3) is None


def test_it_is_beside_the_strongest_images(tmp_path: Path) -> None:
    write_digits(tmp_path)
    server = create_app(tmp_path).server
    with server.test_request_context():
        index = server.config["SAEFARI_TREE"].index()
        (sae,) = index.saes.values()
        shown = {"sae": sae.id, "latent": 2}

        def activity() -> str:
            return text(page("latent")._activity(sae.code_sets[0].id, shown))

        assert "Synthesised image" not in activity()
        write(sae.explanations, synthesis=FIGURES)
        assert 0 < activity().index("Synthesised image") < activity().index("Strongest examples")
