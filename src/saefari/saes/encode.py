"""Encode hidden states to sparse codes and decode them.

Shapes: n positions, d_in the hidden state's length, d_sae latents, m active latents over all positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from saefari.saes.load import LoadedSae, centred

CHUNK_ELEMENTS = 2**21
"""Elements of the dense [positions, d_sae] block on a CPU; larger blocks exceed its cache and are slower."""
GPU_CHUNK_ELEMENTS = 2**26
"""Elements of the dense block on a GPU."""
MIN_CHUNK_ROWS = 256
"""Minimum positions of a block: with 32, reading the weights of a 65k encoder takes most of the time."""
MAX_CHUNK_ELEMENTS = 2**24
"""Maximum elements of a block of `MIN_CHUNK_ROWS`: 64 MB, or 16 positions of a million latents."""


@dataclass(frozen=True)
class Codes:
    """Active latents of n positions as compressed sparse rows; latents ascend within a row."""

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
        """Return [n, d_sae], sharing the memory."""
        return sparse.csr_array((self.values, self.indices, self.indptr), shape=(self.n_positions, self.d_sae))


@torch.no_grad()
def encode(loaded: LoadedSae, hidden: torch.Tensor) -> Codes:
    """Encode hidden states [n, d_in] of any float dtype in float32, centred first if the SAE needs it.

    Equals the SAE's own `encode` for any chunk size, since each position is encoded over all latents. The dense block
    in memory is bounded, not [n, d_sae].
    """
    sae_in = centred(loaded, hidden)
    active = _ENCODERS.get(loaded.architecture, _own_activations)(loaded)
    chunks = [active(chunk) for chunk in torch.split(sae_in, _chunk_rows(loaded.d_sae, sae_in.device))]
    counts = torch.cat([count for count, _, _ in chunks] or [torch.zeros(0, dtype=torch.int64)])
    indptr = np.zeros(len(hidden) + 1, dtype=np.int64)
    np.cumsum(counts.cpu().numpy(), out=indptr[1:])
    return Codes(
        indptr=indptr,
        indices=_concatenate([indices for _, indices, _ in chunks], torch.int32),
        values=_concatenate([values for _, _, values in chunks], torch.float32),
        d_sae=loaded.d_sae,
    )


def insert_outliers(codes: Codes, outlier_mask: np.ndarray) -> Codes:
    """Extend codes of the other positions to all n positions; outliers get no latent. outlier_mask: bool [n]."""
    active = np.zeros(len(outlier_mask), dtype=np.int64)
    active[~outlier_mask] = np.diff(codes.indptr)
    return replace(codes, indptr=np.concatenate([[0], np.cumsum(active)]))


@torch.no_grad()
def reconstruct(loaded: LoadedSae, codes: Codes, hidden: torch.Tensor) -> torch.Tensor:
    """Decode codes to [n, d_in], in the space of the (centred) hidden states.

    hidden: the encoded states; an SAE that normalises each position needs their norms to undo it.
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
    """Return the number of positions per chunk, which bounds the dense block."""
    if device.type != "cpu":
        return max(1, GPU_CHUNK_ELEMENTS // d_sae)
    return max(1, CHUNK_ELEMENTS // d_sae, min(MIN_CHUNK_ROWS, MAX_CHUNK_ELEMENTS // d_sae))


Active = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Active latents of some positions: count per position (int64), latents (int32), values (float32)."""


def _own_activations(loaded: LoadedSae) -> Callable[[torch.Tensor], Active]:
    """Return an encoder of chunks [rows, d_in] that uses the SAE's own `encode`."""

    def active(chunk: torch.Tensor) -> Active:
        dense = loaded.sae.encode(chunk)
        flat = _nonzero(dense > 0)
        counts, latents = _rows_and_latents(flat, len(chunk), loaded.d_sae)
        return counts, latents.to(torch.int32), dense.view(-1)[flat]

    return active


def _over_threshold(loaded: LoadedSae) -> Callable[[torch.Tensor], Active]:
    """Return an encoder of chunks [rows, d_in] for SAEs whose latents are active above a pre-activation threshold.

    The product is written into a reused buffer and the bias is subtracted from the threshold, so that the buffer is
    written once and read once: a third of the memory traffic of the SAE's own `encode`.
    """
    sae = loaded.sae
    floor = sae.threshold.clamp(min=0) if loaded.architecture == "jumprelu" else torch.zeros_like(sae.b_enc)
    limit = floor - sae.b_enc

    def active(chunk: torch.Tensor) -> Active:
        product, above = (buffer[: len(chunk)] for buffer in _buffers(loaded))
        torch.mm(sae.process_sae_in(chunk), sae.W_enc, out=product)
        flat = _nonzero(torch.gt(product, limit, out=above))
        counts, latents = _rows_and_latents(flat, len(chunk), loaded.d_sae)
        return counts, latents.to(torch.int32), product.view(-1)[flat] + sae.b_enc[latents]

    return active


def _top_k(loaded: LoadedSae) -> Callable[[torch.Tensor], Active]:
    """Return an encoder of chunks [rows, d_in] that keeps the k largest pre-activations of a position, if positive.

    `torch.topk` is called as in the SAE's own `encode`, on equal numbers, so that ties are broken identically. Its
    indices are then sorted within a row; no dense block is scattered and searched.
    """
    sae = loaded.sae
    k = min(int(sae.cfg.k), loaded.d_sae)
    scale = sae.W_dec.norm(dim=-1) if sae.cfg.rescale_acts_by_decoder_norm else None

    def active(chunk: torch.Tensor) -> Active:
        pre = _buffers(loaded)[0][: len(chunk)]
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
"""Fast encoder per architecture; others use their own `encode`. BatchTopK and Matryoshka are saved as jumprelu."""


def _buffers(loaded: LoadedSae) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the SAE's float32 and boolean buffers, allocated once: allocation costs more than the arithmetic."""
    if loaded.buffers is None:
        device = loaded.sae.W_enc.device
        rows = _chunk_rows(loaded.d_sae, device)
        loaded.buffers = (
            torch.empty(rows, loaded.d_sae, device=device),
            torch.empty(rows, loaded.d_sae, device=device, dtype=torch.bool),
        )
    return loaded.buffers


def _nonzero(mask: torch.Tensor) -> torch.Tensor:
    """Return int64 indices into the flattened mask; on a CPU numpy is several times faster than torch."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero().squeeze(1)


def _rows_and_latents(flat: torch.Tensor, rows: int, d_sae: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Split indices into a flattened [rows, d_sae] block into the count per row and the latent of each."""
    position = torch.div(flat, d_sae, rounding_mode="floor")
    return torch.bincount(position, minlength=rows), flat - position * d_sae


def _concatenate(parts: list[torch.Tensor], dtype: torch.dtype) -> np.ndarray:
    """Concatenate the chunks' arrays and move them to the host in one transfer."""
    return torch.cat(parts or [torch.zeros(0, dtype=dtype)]).cpu().numpy()
