"""Load an SAE with sae-lens and prepare hidden states as its input."""

from __future__ import annotations

import hashlib
import logging
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from saefari.errors import ModelError, SaeError
from saefari.models.hooks import HookPoint
from saefari.saes.ref import SaeRef

log = logging.getLogger(__name__)

ARCHITECTURES = ("standard", "gated", "topk", "jumprelu")
"""sae-lens architectures with non-negative latents that reconstruct their own input.

BatchTopK and Matryoshka SAEs are saved as jumprelu.
"""


@dataclass
class LoadedSae:
    """An SAE in float32, ready to encode, with the properties of its input."""

    ref: SaeRef
    sae: Any
    """The sae-lens SAE."""
    hook: HookPoint
    center: bool
    """Subtract the mean over d_model from its input: it was trained on weights processed by TransformerLens."""
    buffers: tuple[torch.Tensor, torch.Tensor] | None = None
    """Buffers reused by encoding; not part of the SAE."""

    @property
    def d_in(self) -> int:
        return int(self.sae.cfg.d_in)

    @property
    def d_sae(self) -> int:
        return int(self.sae.cfg.d_sae)

    @property
    def architecture(self) -> str:
        return str(self.sae.cfg.architecture())

    @cached_property
    def decoder_scale(self) -> torch.Tensor | None:
        """Factor of each latent before decoding, [d_sae], if the SAE rescales by its decoder norms."""
        if not getattr(self.sae.cfg, "rescale_acts_by_decoder_norm", False):
            return None
        scale: torch.Tensor = 1 / self.sae.W_dec.norm(dim=-1)
        return scale

    @cached_property
    def weights_sha256(self) -> str:
        """Digest of the weights as loaded, names and shapes included."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.sae.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy())
        return digest.hexdigest()

    def fingerprint(self) -> dict[str, Any]:
        """JSON-able settings that shape this SAE's codes; without absolute paths."""
        import sae_lens

        return {
            "release": self.ref.release,
            "sae_id": self.ref.sae_id,
            "folder": Path(self.ref.path).name if self.ref.path else None,
            "architecture": self.architecture,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "hook": self.hook.name,
            "center": self.center,
            "normalize_activations": self.sae.cfg.normalize_activations,
            "weights_sha256": self.weights_sha256,
            "sae_lens": sae_lens.__version__,
        }


def load_sae(ref: SaeRef, device: torch.device | str = "cpu") -> LoadedSae:
    """Load the SAE that `ref` names, in float32, without gradients.

    The hook point comes from the SAE's own metadata. Raises SaeError if the SAE cannot be reached or read, has an
    unsupported architecture, or its hook point is at another layer than `ref.layer`.
    """
    sae = _read(ref, str(device))
    architecture = sae.cfg.architecture()
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SaeError(f"{ref.title}: architecture {architecture!r} is not supported; supported: {known}")
    hook = _hook(ref, sae.cfg.metadata.hook_name)
    if hook.layer != ref.layer:
        raise SaeError(f"{ref.title}: its hook point {hook.name} is layer {hook.layer}, not layer {ref.layer}")
    if sae.cfg.normalize_activations in ("expected_average_only_in", "covariance_whitening"):
        log.warning("%s: its input scaling is not stored; the scale of its codes may be wrong", ref.title)
        sae.cfg.normalize_activations = "none"
    # The heads of attention outputs are already flattened.
    sae.turn_off_forward_pass_hook_z_reshaping()
    sae.eval().requires_grad_(False)
    kwargs = sae.cfg.metadata.model_from_pretrained_kwargs or {}
    # Only what is written to the residual stream is centred, not the heads' outputs.
    center = bool(kwargs.get("center_writing_weights")) and hook.site != "attn_z"
    return LoadedSae(ref=ref, sae=sae, hook=hook, center=center)


def check_width(loaded: LoadedSae, d_model: int, model: str) -> None:
    """Raise SaeError unless the SAE's input has the length of the model's hook point."""
    if loaded.d_in != d_model:
        raise SaeError(
            f"{loaded.ref.title} takes vectors of {loaded.d_in} values, but {loaded.hook.name} of "
            f"{model!r} has {d_model}: it was trained on another model"
        )


def centred(loaded: LoadedSae, hidden: torch.Tensor) -> torch.Tensor:
    """Prepare hidden states [n, d_in] as SAE input: float32, on its device, centred if it needs that."""
    hidden = hidden.to(loaded.sae.W_dec.device, torch.float32)
    return hidden - hidden.mean(dim=-1, keepdim=True) if loaded.center else hidden


def with_weights(loaded: LoadedSae, weights: dict[str, torch.Tensor]) -> LoadedSae:
    """Return a copy of the SAE with other weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = type(loaded.sae.cfg).from_dict(loaded.sae.cfg.to_dict())
        config.reshape_activations = "none"
        with torch.random.fork_rng(devices=[]):
            sae = type(loaded.sae)(config)
    sae.load_state_dict(weights)
    sae.eval().requires_grad_(False)
    return replace(loaded, sae=sae, buffers=None)


def _read(ref: SaeRef, device: str) -> Any:
    """Load the sae-lens object. Raises SaeError for every failure of its loaders."""
    from sae_lens import SAE

    try:
        with warnings.catch_warnings():
            # sae-lens warns about weights processed by TransformerLens, which `center` handles.
            warnings.simplefilter("ignore")
            if ref.path is not None:
                return SAE.load_from_disk(ref.path, device=device, dtype="float32")
            return SAE.from_pretrained(ref.release, ref.sae_id, device=device, dtype="float32")
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        remedy = (
            "check that the folder holds cfg.json and sae_weights.safetensors"
            if ref.path
            else "check the network or the Hugging Face cache (gated releases need a login)"
        )
        raise SaeError(f"{ref.title} cannot be loaded ({type(error).__name__}: {reason}); {remedy}") from error


def _hook(ref: SaeRef, name: str | None) -> HookPoint:
    """Return the SAE's own hook point, or the expected one if its metadata has none."""
    if name is None and ref.hook is None:
        raise SaeError(f"{ref.title}: its metadata names no hook point (metadata.hook_name in cfg.json)")
    try:
        return HookPoint.parse(name or str(ref.hook))
    except ModelError as error:
        raise SaeError(f"{ref.title}: {error}") from error
