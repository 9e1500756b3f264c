"""Control SAEs with random weights, to compare trained features with untrained ones."""

from __future__ import annotations

import torch

from saefari.errors import SaeError
from saefari.saes.encode import CHUNK_ELEMENTS, encode
from saefari.saes.load import LoadedSae, centred, with_weights


@torch.no_grad()
def random_control(loaded: LoadedSae, sample: torch.Tensor, seed: int) -> LoadedSae:
    """Build a control with the same architecture, decoder bias and weight norms, and random directions.

    Each latent gets one random unit direction for encoder and decoder and keeps the trained norms. Biases are set so
    that on `sample` it is active at as many positions as the trained latent it replaces, so that mean L0 agrees; a
    TopK SAE needs none, since k fixes L0.
    sample: hidden states [n, d_in] of training rows, as the model returns them. Deterministic for a seed.
    Raises SaeError for an empty sample.
    """
    if len(sample) == 0:
        raise SaeError(f"{loaded.ref.title}: a random control needs training positions for its calibration")
    weights = _random_weights(loaded, seed)
    if loaded.architecture == "topk":
        weights["b_enc"].zero_()
        return with_weights(loaded, weights)
    counts = torch.bincount(torch.from_numpy(encode(loaded, sample).indices).to(torch.int64), minlength=loaded.d_sae)
    sae_in = loaded.sae.process_sae_in(centred(loaded, sample))
    thresholds = _thresholds(sae_in, weights["W_enc"], counts.to(sae_in.device))
    if loaded.architecture == "gated":
        weights["b_gate"] = -thresholds
        weights["b_mag"] = -thresholds * weights["r_mag"].exp()
    else:
        floor = weights["threshold"].clamp(min=0) if loaded.architecture == "jumprelu" else 0
        weights["b_enc"] = floor - thresholds
    return with_weights(loaded, weights)


@torch.no_grad()
def random_directions(loaded: LoadedSae, seed: int) -> LoadedSae:
    """Return the control of `random_control` without calibrated biases: only its encoder and decoder are meaningful."""
    return with_weights(loaded, _random_weights(loaded, seed))


def _random_weights(loaded: LoadedSae, seed: int) -> dict[str, torch.Tensor]:
    """Return the SAE's weights with random directions in encoder and decoder."""
    weights = {name: tensor.clone() for name, tensor in loaded.sae.state_dict().items()}
    directions = _directions(loaded, seed)
    weights["W_enc"] = (directions * weights["W_enc"].norm(dim=0, keepdim=True).T).T.contiguous()
    weights["W_dec"] = directions * weights["W_dec"].norm(dim=1, keepdim=True)
    return weights


def _directions(loaded: LoadedSae, seed: int) -> torch.Tensor:
    """Draw random unit vectors [d_sae, d_in], identical on every device."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(loaded.d_sae, loaded.d_in, generator=generator)
    return torch.nn.functional.normalize(directions, dim=1).to(loaded.sae.W_dec.device)


def _thresholds(sae_in: torch.Tensor, w_enc: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return thresholds [d_sae] that each latent's projection of sae_in [n, d_in] exceeds at `counts` positions."""
    n = len(sae_in)
    latents = max(1, CHUNK_ELEMENTS // n)
    parts = []
    for start in range(0, w_enc.shape[1], latents):
        columns, count = w_enc[:, start : start + latents], counts[start : start + latents]
        descending = (sae_in @ columns).sort(dim=0, descending=True).values
        last_in = descending.gather(0, (count - 1).clamp(min=0)[None])[0]
        first_out = descending.gather(0, count.clamp(max=n - 1)[None])[0]
        margin = 1e-3 * (descending[0] - descending[-1]) + torch.finfo(sae_in.dtype).tiny
        between = (last_in + first_out) / 2
        between = torch.where(count == 0, descending[0] + margin, between)
        parts.append(torch.where(count == n, descending[-1] - margin, between))
    return torch.cat(parts)
