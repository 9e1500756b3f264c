"""A vision transformer and one of its SAEs as a differentiable function of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from saefari.models.vision_model import VisionModel, VisionReader
from saefari.saes.load import LoadedSae, centred, check_width

_ANY_SIZE = (256, 256)
"""The processor changes it to the size that the model reads."""


class Subject:
    """Activations of an SAE's latents as a function of images.

    Images are float32 [B, 3, H, W] with values from 0 (black) to 1 (white), of the size that the model's preprocessing
    gives; `shape` is (3, H, W). Positions are those that the run counts, P of them.
    """

    def __init__(self, reader: VisionReader, model: VisionModel, loaded: LoadedSae) -> None:
        """Combine loaded parts. Raises SaeError if the SAE does not fit the model."""
        check_width(loaded, model.d_model, model.info.name)
        reading = reader.read(Image.new("RGB", _ANY_SIZE))
        black, white = reader.pixel_range
        self.shape = tuple(reading.model_input["pixel_values"].shape)
        self.device = model.device
        self.d_sae = loaded.d_sae
        self._black, self._range = black.to(model.device), (white - black).to(model.device)
        self._valid = torch.from_numpy(reading.valid).to(model.device, torch.int64)
        self._model, self._loaded = model, loaded

    @property
    def n_positions(self) -> int:
        """Positions of an image."""
        return len(self._valid)

    def hidden(self, images: Tensor) -> Tensor:
        """Return the input of the SAE, float32 [B, P, d]."""
        pixels = self._black + self._range * images.to(self.device)
        states = self._model.hidden_states(pixels, self._loaded.hook)[:, self._valid]
        return centred(self._loaded, states.flatten(0, 1)).view(*states.shape)

    def activations(self, hidden: Tensor) -> Tensor:
        """Return the activations of all latents, [B, P, d_sae], of inputs [B, P, d]."""
        codes: Tensor = self._loaded.sae.encode(hidden.flatten(0, 1))
        return codes.view(*hidden.shape[:2], -1)

    def pre_activations(self, hidden: Tensor, latents: Sequence[int]) -> Tensor:
        """Return the pre-activation of latent b for inputs b of [B, P, d], without its bias: [B, P].

        Unlike the activation it has a gradient where the latent is inactive.
        """
        sae = self._loaded.sae
        inputs = sae.process_sae_in(hidden.flatten(0, 1)).view(*hidden.shape)
        return torch.einsum("bpd,db->bp", inputs, sae.W_enc[:, list(latents)])
