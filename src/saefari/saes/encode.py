"""Hidden states to sparse codes, and codes back to hidden states.

Shapes: n positions, d_in the hidden state's length, d_sae latents, m active latents over all positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from saefari.saes.load import LoadedSae, centred

CHUNK_ELEMENTS = 2**21
"""Size of the dense [positions, d_sae] block on a CPU; larger blocks leave its cache, measured as slower."""
GPU_CHUNK_ELEMENTS = 2**26
MIN_CHUNK_ROWS = 256
"""Positions in the block of a wide SAE: with 32, reading the encoder's weights takes most of the time (65k latents)."""
MAX_CHUNK_ELEMENTS = 2**24
"""Bound of the block for `MIN_CHUNK_ROWS`: 64 MB, in which a million latents have 16 positions."""


@dataclass(frozen=True)
class Codes:
    """Active latents of n positions, in compressed sparse rows; within a row the latents ascend."""

    indptr: np.ndarray
    """int64 [n + 1]; position i owns entries indptr[i]:indptr[i + 1]."""
    indices: np.ndarray
    """int32 [m], latents."""
    values: np.ndarray
    """float32 [m], activations, all > 0."""
    d_sae: int

    @property
    def n_positions(self) -> int:
        return len(self.indptr) - 1

    def to_csr(self) -> sparse.csr_array:
        """[n, d_sae], sharing the memory."""
        return sparse.csr_array((self.values, self.indices, self.indptr), shape=(self.n_positions, self.d_sae))


@torch.no_grad()
def encode(loaded: LoadedSae, hidden: torch.Tensor) -> Codes:
    """Encode hidden states [n, d_in] of any float type, in float32, centred first where the SAE needs it.

    Equal to the SAE's own `encode`, whatever the chunks: each position is encoded over all latents.
    The dense block held at a time is bounded, not [n, d_sae].
    """
    sae_in = centred(loaded, hidden)
    active = _ENCODERS.get(loaded.architecture, _own_activations)(loaded)
    chunks = [active(chunk) for chunk in torch.split(sae_in, _chunk_rows(loaded.d_sae, sae_in.device))]
    counts = torch.cat([count for count, _, _ in chunks] or [torch.zeros(0, dtype=torch.int64)])
    indptr = np.zeros(len(hidden) + 1, dtype=np.int64)
    np.cumsum(counts.cpu().numpy(), out=indptr[1:])
    return Codes(
        indptr=indptr,
        indices=_joined([indices for _, indices, _ in chunks], torch.int32),
        values=_joined([values for _, _, values in chunks], torch.float32),
        d_sae=loaded.d_sae,
    )


@torch.no_grad()
def reconstruct(loaded: LoadedSae, codes: Codes, hidden: torch.Tensor) -> torch.Tensor:
    """Decode codes to [n, d_in], in the space of the (centred) hidden states they came from.

    `hidden` is what was encoded: an SAE that normalises each position undoes that with its input's norm.
    Costs a sparse product, d_in x m.
    """
    sae = loaded.sae
    device = sae.W_dec.device
    indices = torch.from_numpy(codes.indices).to(device, torch.int64)
    values = torch.from_numpy(codes.values).to(device)
    if loaded.decoder_scale is not None:
        values = values * loaded.decoder_scale[indices]
    decoded = torch.nn.functional.embedding_bag(
        indices,
        sae.W_dec,
        torch.from_numpy(codes.indptr).to(device),
        mode="sum",
        per_sample_weights=values,
        include_last_offset=True,
    )
    decoded += sae.b_dec
    sae.run_time_activation_norm_fn_in(centred(loaded, hidden))
    restored: torch.Tensor = sae.run_time_activation_norm_fn_out(decoded)
    return restored


def _chunk_rows(d_sae: int, device: torch.device) -> int:
    """Positions encoded at once, so that the dense block stays bounded."""
    if device.type != "cpu":
        return max(1, GPU_CHUNK_ELEMENTS // d_sae)
    return max(1, CHUNK_ELEMENTS // d_sae, min(MIN_CHUNK_ROWS, MAX_CHUNK_ELEMENTS // d_sae))


Active = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Active latents of some positions: how many in each (int64), which (int32), and their values (float32)."""


def _own_activations(loaded: LoadedSae) -> Callable[[torch.Tensor], Active]:
    """Encodes a chunk [rows, d_in] with the SAE's own `encode`."""

    def active(chunk: torch.Tensor) -> Active:
        dense = loaded.sae.encode(chunk)
        flat = _nonzero(dense > 0)
        counts, latents = _places(flat, len(chunk), loaded.d_sae)
        return counts, latents.to(torch.int32), dense.view(-1)[flat]

    return active


def _over_threshold(loaded: LoadedSae) -> Callable[[torch.Tensor], Active]:
    """Encodes a chunk [rows, d_in] where a threshold on the pre-activation alone decides what is active.

    The product goes into one block that every chunk reuses, and the bias is moved over to the threshold, so that
    the block is written once and read once: a third of the memory traffic of the SAE's own `encode`.
    """
    sae = loaded.sae
    floor = sae.threshold.clamp(min=0) if loaded.architecture == "jumprelu" else torch.zeros_like(sae.b_enc)
    bar = floor - sae.b_enc

    def active(chunk: torch.Tensor) -> Active:
        product, over = (block[: len(chunk)] for block in _blocks(loaded))
        torch.mm(sae.process_sae_in(chunk), sae.W_enc, out=product)
        flat = _nonzero(torch.gt(product, bar, out=over))
        counts, latents = _places(flat, len(chunk), loaded.d_sae)
        return counts, latents.to(torch.int32), product.view(-1)[flat] + sae.b_enc[latents]

    return active


def _top_k(loaded: LoadedSae) -> Callable[[torch.Tensor], Active]:
    """Encodes a chunk [rows, d_in] where the k largest pre-activations of each position are active, if positive.

    The call of `torch.topk` is that of the SAE's own `encode`, on equal numbers, so that equal pre-activations give
    the same winners; its indices are sorted within a row, and no dense block is scattered and searched.
    """
    sae = loaded.sae
    k = min(int(sae.cfg.k), loaded.d_sae)
    scale = sae.W_dec.norm(dim=-1) if sae.cfg.rescale_acts_by_decoder_norm else None

    def active(chunk: torch.Tensor) -> Active:
        pre = _blocks(loaded)[0][: len(chunk)]
        torch.mm(sae.process_sae_in(chunk), sae.W_enc, out=pre)
        pre += sae.b_enc
        if scale is not None:
            pre *= scale
        values, latents = torch.topk(pre, k, sorted=False)
        latents, order = latents.sort(dim=1)
        values = values.gather(1, order)
        positive = values > 0
        return positive.sum(dim=1), latents[positive].to(torch.int32), values[positive]

    return active


_ENCODERS = {"standard": _over_threshold, "jumprelu": _over_threshold, "topk": _top_k}
"""How each architecture is encoded without its own `encode`. BatchTopK and Matryoshka SAEs are saved as jumprelu."""


def _blocks(loaded: LoadedSae) -> tuple[torch.Tensor, torch.Tensor]:
    """The SAE's float32 and boolean blocks, made once: fresh memory costs more than the arithmetic in it."""
    if loaded.blocks is None:
        device = loaded.sae.W_enc.device
        rows = _chunk_rows(loaded.d_sae, device)
        loaded.blocks = (
            torch.empty(rows, loaded.d_sae, device=device),
            torch.empty(rows, loaded.d_sae, device=device, dtype=torch.bool),
        )
    return loaded.blocks


def _nonzero(mask: torch.Tensor) -> torch.Tensor:
    """int64 indices into the flattened mask; numpy finds them several times faster than torch does on a CPU."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero().squeeze(1)


def _places(flat: torch.Tensor, rows: int, d_sae: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of indices into a flattened [rows, d_sae] block: how many lie in each row, and the latent of each."""
    position = torch.div(flat, d_sae, rounding_mode="floor")
    return torch.bincount(position, minlength=rows), flat - position * d_sae


def _joined(parts: list[torch.Tensor], dtype: torch.dtype) -> np.ndarray:
    """The chunks' arrays as one on the host, in one transfer."""
    return torch.cat(parts or [torch.zeros(0, dtype=dtype)]).cpu().numpy()
