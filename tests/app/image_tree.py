"""A tree of rows with images: real digits as a vision transformer reads them, and prompts of an image and a text."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from flask import Flask
from PIL import Image
from scipy import sparse

from app.server import create_app
from saefari.classify.decisions import decide, features_of_codes, load_classifier
from saefari.store import IMAGE_SCHEMA, Layout, SamplesWriter
from tests.app.sample_tree import FIRST, classify, write_features

N_ROWS, D_SAE = 120, 12
DIGITS, PROMPTS = "digits", "prompts"
GRID = (4, 4)
"""Patches of a digit: 8 × 8 pixels in patches of 2 × 2, after the class token."""
PROMPT_GRID = (2, 4)
PER_PROMPT = 8 + 1 + 3
"""Positions of a prompt: 8 patches, an end-of-image token, and three words."""


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """pixels: uint8 [height, width, 3]."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def digits() -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [N_ROWS, 8, 8], their classes): zeros, ones and twos among scikit-learn's digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    chosen = np.flatnonzero(found.target < 3)[:N_ROWS]
    return (found.images[chosen] / 16 * 255).round().astype(np.uint8), found.target[chosen]


def digit_codes(images: np.ndarray) -> np.ndarray:
    """Codes [n, 17, D_SAE]: at patches, similarity to four patterns of ink; the last latent fires only at
    the class token, with the mean ink; all others are 0.
    """
    ink = images.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4) / 255.0
    codes = np.zeros((len(images), 17, D_SAE))
    codes[:, 1:, 0] = np.clip(ink.mean(axis=2) - 0.5, 0, None)
    codes[:, 1:, 1] = np.clip(ink[..., [0, 1]].mean(axis=2) - ink[..., [2, 3]].mean(axis=2), 0, None)
    codes[:, 1:, 2] = np.clip(ink[..., [0, 2]].mean(axis=2) - ink[..., [1, 3]].mean(axis=2), 0, None)
    codes[:, 1:, 3] = np.where(ink.max(axis=2) == 0, 0.25, 0)
    codes[:, 0, D_SAE - 1] = ink.mean(axis=(1, 2))
    return codes.astype(np.float16).astype(np.float64)


def write_digits(output: Path) -> None:
    """Digits and results of SAE features, hidden states and the majority class."""
    folder = output / "activations/m" / DIGITS / "train"
    images, classes = digits()
    with SamplesWriter(folder, {}, IMAGE_SCHEMA) as writer:
        for i in range(N_ROWS):
            writer.write(
                {"row": FIRST + i, "id": f"id{i}", "text": None, "label": f"digit {classes[i]}", "group": None}
                | {
                    "n_tokens": 17,
                    "input_ids": [],
                    "valid": list(range(17)),
                    "span_start": [0] * 17,
                    "span_end": [0] * 17,
                }
                | {"image": f"digits/<b>{i}</b>.png", "pixels": f"{i:064x}", "grid": list(GRID)}
                | {"view": encoded(np.repeat(images[i][..., None], 3, axis=2)), "patch": [-1, *range(16)]}
            )
    write_features(folder, digit_codes(images).reshape(-1, D_SAE), np.arange(N_ROWS + 1) * 17)
    classify(output, {"sae": "layer_3/3k", "hidden": "layer_3/hidden", "majority": None}, DIGITS, "vit")


def write_prompts(output: Path) -> None:
    """Prompts of a wide picture, half of it coloured, and three words; every tenth row has no image."""
    folder = output / "activations/m" / PROMPTS / "train"
    codes, lengths = [], []
    with SamplesWriter(folder, {}, IMAGE_SCHEMA) as writer:
        for i in range(N_ROWS):
            with_image, red = i % 10 != 8, i % 3 == 0
            words = ["a", "<i>flag</i>", f"number{i}"]
            starts = np.cumsum([0, *(len(word) + 1 for word in words)])
            pixels = np.full((48, 96, 3), 200, dtype=np.uint8)
            pixels[:, : 48 if red else 24] = (200, 30, 30) if red else (30, 30, 200)
            patch = [*range(8), -1, -1, -1, -1] if with_image else [-1, -1, -1]
            spans = [*([0] * 9 if with_image else []), *starts[:3].tolist()]
            ends = [*([0] * 9 if with_image else []), *(starts[1:] - 1).tolist()]
            own = np.zeros((len(patch), D_SAE))
            if with_image:
                own[[0, 1, 4, 5] if red else [0, 4], int(not red)] = 2 + 0.01 * i
                own[8, 2] = 0.5
            own[-2, 3] = 1 + 0.01 * i
            codes.append(own)
            lengths.append(len(patch))
            writer.write(
                {
                    "row": FIRST + i,
                    "id": f"id{i}",
                    "text": " ".join(words),
                    "label": ["blue", "red"][red],
                    "group": None,
                }
                | {"n_tokens": 15, "input_ids": [0] * 15, "valid": list(range(2, 2 + len(patch)))}
                | {"span_start": spans, "span_end": ends, "pixels": None, "patch": patch}
                | {"image": f"{i}.jpg" if with_image else None, "grid": list(PROMPT_GRID) if with_image else None}
                | {"view": encoded(pixels, "JPEG") if with_image else None}
            )
    write_features(folder, np.concatenate(codes), np.concatenate([[0], np.cumsum(lengths)]))
    classify(output, {"sae": "layer_3/3k"}, PROMPTS, "vlm")


def predict_digit(
    layout: Layout, folder: Path, classifier: str, content: bytes, text: str | None, model: str | None = None
) -> SimpleNamespace:
    """Stand-in for the pipeline's `predict_image`, since no model exists for the digits of this tree."""
    stored = load_classifier(folder, classifier)
    pixels = np.asarray(Image.open(BytesIO(content)).convert("L").resize((8, 8)))
    codes = sparse.csr_array(digit_codes(pixels[None])[0])
    features: Any = np.zeros((1, 6))
    if stored.source == "sae":
        features = features_of_codes(stored.setting, codes, np.array([0, 17]))
    (decision,) = decide(stored, features)
    return SimpleNamespace(
        classes=stored.classes,
        probabilities=decision.probabilities,
        decision=decision,
        spans=np.zeros((17, 2), dtype=np.int32),
        codes=codes if stored.source == "sae" else None,
        view=encoded(np.repeat(pixels[..., None], 3, axis=2)),
        grid=GRID,
        patch=np.array([-1, *range(16)]),
    )


def image_server(output: Path) -> Flask:
    """The app over an output tree with digits and with prompts."""
    write_digits(output)
    write_prompts(output)
    return create_app(output).server
