"""Model input of a vision-language model: prompt tokens and pixels, and which tokens count."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from PIL import Image

from saefari.errors import ModelError
from saefari.fingerprint import fingerprint
from saefari.models.image_input import Reading, TooLong
from saefari.models.image_processor import check_shape, load_image_processor, processor_digest
from saefari.models.patches import patches_of
from saefari.models.pretrained import check_tokenizer, quiet
from saefari.models.prompt import RecordingTokenizer, Template
from saefari.models.registry import (
    ModelInfo,
    describe,
    image_token_id,
    read_cache_first,
    read_config,
    resolve_model,
)

_NOT_MODEL_INPUTS = {"attention_mask", "labels", "offset_mapping"}


class PromptReader:
    """A reader of images and texts: a processor, and the rules for which positions count."""

    def __init__(
        self,
        name: str,
        processor: Any,
        config: Any,
        positions: str = "image",
        max_length: int = 512,
        include_special_tokens: bool = False,
    ) -> None:
        """positions: image, text, last or all. max_length: maximum tokens of the text, without the prompt's own.

        include_special_tokens: include them in `all`.
        """
        self._processor = processor
        self._config = config
        self._positions = positions
        self._max_length = max_length
        self._keep_special = include_special_tokens
        self._tokenizer = processor.tokenizer
        self._template = Template.of(processor)
        self._image_token = image_token_id(config)
        self._special = [i for i in self._tokenizer.all_special_ids if i != self._image_token]
        self._recorder = processor.tokenizer = RecordingTokenizer(self._tokenizer)
        self.limit: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self.digest = fingerprint(
            {
                "tokenizer": self._tokenizer.backend_tokenizer.to_str(),
                "images": processor_digest(processor.image_processor),
                "template": [self._template.before, self._template.after],
            }
        )

    @classmethod
    def load(cls, name: str, revision: str | None = None, **rules: Any) -> PromptReader:
        """Load by the model's name; rules: options of `PromptReader`. Raises ModelError if it cannot be loaded."""
        location, _ = resolve_model(name, revision)
        config = read_config(name, revision)
        processor = load_processor(describe(name, revision, model_type="vlm"), location, config)
        return cls(name, processor, config, **rules)

    def read(self, image: Image.Image, text: str | None) -> Reading:
        """Build the prompt's tokens and pixels. Raises ModelError for an image that the model cannot take."""
        text = self._cut(text or "")
        prompt = self._template.fill(text)
        check_shape(self._processor.image_processor, image)
        try:
            with quiet():
                encoded = self._processor(
                    images=[image],
                    text=[prompt],
                    return_tensors="np",
                    return_offsets_mapping=True,
                    # Chat templates already contain BOS.
                    add_special_tokens=not prompt.startswith(self._tokenizer.bos_token or "\0"),
                )
        except (ValueError, ZeroDivisionError) as error:
            size = f"{image.width} x {image.height}"
            raise ModelError(f"the model cannot take an image of {size} pixels: {error}") from None
        output = {key: torch.from_numpy(np.asarray(value)) for key, value in encoded.items()}
        ids = output["input_ids"][0].numpy().astype(np.int32)
        if self.limit is not None and len(ids) > self.limit:
            raise TooLong(f"the model reads {self.limit} tokens, a prompt has {len(ids)}: lower settings.max_length")
        is_image: np.ndarray = ids == self._image_token
        spans = self._spans(output["offset_mapping"][0].numpy(), text, is_image)
        in_text = (spans[:, 1] > spans[:, 0]) & ~np.isin(ids, self._special)
        valid = np.flatnonzero(self._counted(ids, is_image, in_text))
        found = patches_of(output, int(is_image.sum()), image, self._processor.image_processor, self._config)
        cells = np.full(len(ids), -1, dtype=np.int32)
        cells[is_image] = found.cells
        return Reading(
            input_ids=ids,
            length=len(ids),
            valid=valid.astype(np.int32),
            spans=np.where(in_text[:, None], spans, 0)[valid].astype(np.int32),
            grid=found.grid,
            patch=cells[valid],
            model_input=_arguments(output),
            view=found.view,
        )

    def _cut(self, text: str) -> str:
        """Truncate the text to max_length tokens; replace spelt-out special tokens by blanks."""
        special = [token for token in self._tokenizer.all_special_tokens if token]
        if special:
            text = re.sub("|".join(map(re.escape, special)), lambda found: " " * len(found[0]), text)
        encoded = self._tokenizer(
            text, add_special_tokens=False, truncation=True, max_length=self._max_length, return_offsets_mapping=True
        )
        ends = [end for _, end in encoded["offset_mapping"]]
        return text[: max(ends, default=0)].rstrip() if len(ends) >= self._max_length else text

    def _spans(self, offsets: np.ndarray, text: str, is_image: np.ndarray) -> np.ndarray:
        """Return int [n, 2]: the characters of the text that each token covers; (0, 0) for the prompt's own tokens."""
        for kept in (text, text.strip()):  # some templates strip the text
            start = self._recorder.last.rfind(kept + self._template.after)
            if start >= 0:
                break
        if not kept or start < 0:
            return np.zeros((len(offsets), 2), dtype=np.int64)
        first = text.index(kept)
        spans: np.ndarray = (offsets - start).clip(0, len(kept)) + first
        outside = (spans[:, 1] <= spans[:, 0]) | is_image
        spans[outside] = 0
        return spans

    def _counted(self, ids: np.ndarray, is_image: np.ndarray, in_text: np.ndarray) -> np.ndarray:
        """Return bool [n]: which tokens count."""
        if self._positions == "image":
            return is_image
        if self._positions == "text":
            return in_text
        counts: np.ndarray = ~np.isin(ids, self._special) | self._keep_special
        return np.arange(len(ids)) == len(ids) - 1 if self._positions == "last" else counts


def load_processor(info: ModelInfo, location: str, config: Any) -> Any:
    """Load a processor for images and texts. Raises ModelError if there is none, or no fast tokenizer."""
    from transformers import PROCESSOR_MAPPING

    if type(config) not in PROCESSOR_MAPPING:
        raise ModelError(f"model {info.name!r}: transformers has no processor for type {config.model_type}")
    processor_class = without_videos(PROCESSOR_MAPPING[type(config)])

    def read(local_files_only: bool) -> Any:
        return processor_class.from_pretrained(
            location, revision=info.revision, local_files_only=local_files_only, trust_remote_code=False
        )

    with quiet():
        processor = read_cache_first(info.name, read, reach_hub=info.source == "hub")
    processor.image_processor = load_image_processor(info, location)
    check_tokenizer(info, processor.tokenizer)
    return _completed(processor, config)


def without_videos(cls: Any) -> Any:
    """Return the processor class without its video processor, which needs extra packages."""
    parts = [part for part in cls.get_attributes() if part in ("image_processor", "tokenizer")]
    return type(cls.__name__, (cls,), {"get_attributes": classmethod(lambda _: parts), "__module__": cls.__module__})


def _completed(processor: Any, config: Any) -> Any:
    """Fill in from the model what older LLaVA processors lack to count image tokens."""
    if hasattr(processor, "patch_size") and processor.patch_size is None:
        tower = config.vision_config
        processor.patch_size = tower.patch_size
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        # CLIP's tower has a class token, SigLIP's has none.
        processor.num_additional_image_tokens = int("clip" in tower.model_type)
    return processor


def _arguments(output: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Select the model's arguments: [n] along the prompt, with the dimension of images for the image."""
    n_tokens = output["input_ids"].shape
    return {
        key: value[0] if value.shape == n_tokens else value
        for key, value in output.items()
        if key not in _NOT_MODEL_INPUTS
    }
