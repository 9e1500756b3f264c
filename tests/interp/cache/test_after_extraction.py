"""The cache of a real extraction: texts of a tiny causal model, and images of a tiny vision transformer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from saefari.config import Config, parse_config
from saefari.config.explanation import Sampling
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.rows import TokenRows
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.plan.make_plan import make_plan
from saefari.store import codes_folder, read_samples, read_split
from tests.tiny_vision import save_colours, save_vit


def settings_below(folder: Path) -> dict[str, Any]:
    return {"base_save_dir": str(folder / "a"), "base_classify_dir": str(folder / "c"), "device": "cpu"}


def extracted(config: Config) -> Path:
    plan = make_plan(config)
    assert run_plan(plan, classifying=False).failures == []
    return plan.samples(plan.models[0], plan.datasets[0], "train")


def test_texts_of_training_rows(
    tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any], write_texts: Callable[..., list[str]]
) -> None:
    write_texts(tmp_path / "texts.jsonl", 80)
    sae = save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32, 64)
    samples = extracted(
        parse_config(
            {
                "settings": settings_below(tmp_path),
                "models": [
                    {
                        "name": str(save_tiny("llama")),
                        "layers": [1],
                        "widths": ["64"],
                        "sae_path": str(tmp_path / "sae"),
                    }
                ],
                "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
            }
        )
    )
    cache = build_cache(tmp_path / "cache", [CacheSource("texts", samples, codes_folder(samples, 1, "64"))])
    assert cache.rows.row.tolist() == np.flatnonzero(read_split(samples) == 0).tolist()
    model = transformers.AutoModel.from_pretrained(save_tiny("llama"))
    stored = read_samples(samples, ["text", "input_ids", "valid"]).to_pylist()
    sampler = ExampleSampler(cache, Sampling(window=5, explain=5, test=10), 0, {"texts": TokenRows(samples)})
    for latent in np.argsort(-cache.row_counts)[:6].tolist():
        examples = sampler.examples(latent)
        assert len(examples.explain) == 5
        for context in (*examples.explain, *examples.test, *examples.inactive):
            row, stop = stored[context.row], context.start + len(context.tokens)
            with torch.no_grad():
                ids = torch.tensor([row["input_ids"]])
                hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[2][0][row["valid"]]
                expected = sae.encode(hidden)[context.start : stop, latent].numpy()
            np.testing.assert_allclose(context.activations, expected, rtol=2e-3, atol=2e-4)
            assert [token.strip() for token in context.tokens] == row["text"].split()[context.start : stop]


def test_images(tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    vit, images = save_vit(tmp_path / "vit", "vit"), save_colours(tmp_path / "colours", 40)
    sae = save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 24, 48)
    samples = extracted(
        parse_config(
            {
                "settings": {**settings_below(tmp_path), "model_type": "vit", "image_workers": 0},
                "models": [{"name": str(vit), "layers": [1], "widths": ["48"], "sae_path": str(tmp_path / "sae")}],
                "datasets": [{"name": str(images), "image_field": "image"}],
            }
        )
    )
    cache = build_cache(tmp_path / "cache", [CacheSource("colours", samples, codes_folder(samples, 1, "48"))])
    rows = TokenRows(samples)
    training = np.flatnonzero(read_split(samples) == 0)
    assert cache.rows.row.tolist() == training.tolist()
    assert set(cache.rows.lengths.tolist()) == {16}
    model = transformers.AutoModel.from_pretrained(vit)
    views = rows.images(training.tolist())
    latent = int(np.argmin(np.abs(cache.row_counts - len(training) // 2)))
    sampler = ExampleSampler(cache, Sampling(explain=3, test=5), 0, {"colours": rows})
    examples = sampler.examples(latent)
    assert examples.test
    for context in (*examples.explain, *examples.test):
        assert context.image is not None
        assert context.image.png == views[context.row].png
        with torch.no_grad():
            hidden = model(pixel_values=_pixels(vit, context.image.png), output_hidden_states=True).hidden_states[2]
            expected = sae.encode(hidden[0, 1:])[:, latent].numpy()
        np.testing.assert_allclose(context.activations, expected, rtol=5e-2, atol=5e-2)  # the view is 8-bit
        assert context.tokens[5] == "patch row 1, column 1"
        assert context.label in ("blue", "red")


def _pixels(vit: Path, png: bytes) -> torch.Tensor:
    from io import BytesIO

    from PIL import Image

    processor = transformers.AutoImageProcessor.from_pretrained(vit)
    pixels: torch.Tensor = processor(Image.open(BytesIO(png)).convert("RGB"), return_tensors="pt")["pixel_values"]
    return pixels
