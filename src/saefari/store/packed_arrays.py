"""Compact encodings of shard arrays: half precision, gaps between indices, byte planes.

Byte plane k holds byte k (little-endian) of every number of an array. The upper planes (exponents; gaps beyond 255)
are repetitive and compress well if stored separately from the lowest plane, which hardly compresses.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_FLOAT16_MIN, _FLOAT16_MAX = float(np.finfo(np.float16).smallest_normal), float(np.finfo(np.float16).max)
_MAX_RELATIVE_ERROR = 1 / 256


def compact_activations(values: np.ndarray) -> np.ndarray:
    """Convert values [m] > 0 to float16 if all are in its normal range (relative error 2**-11), else to float32."""
    fits = values.size == 0 or (values.min() >= _FLOAT16_MIN and values.max() <= _FLOAT16_MAX)
    return values.astype(np.float16 if fits else np.float32)


def compact_states(states: np.ndarray) -> np.ndarray:
    """Convert float32 states [n, d] to float16 if rounding is negligible for a probe; else return them unchanged.

    Probes standardise every dimension, so in each the root mean square rounding error must be at most 1/256 of the
    standard deviation (noise of 0.0015% of the variance). A dimension fails if its mean is large relative to its
    spread, its values are tiny, or a value exceeds the range of float16. Rows of zeros (no position) are ignored.
    """
    with np.errstate(over="ignore"):
        half = states.astype(np.float16)
    nonzero = states.any(axis=1)
    if not nonzero.any():
        return half
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.square(half[nonzero].astype(np.float32) - states[nonzero]).mean(axis=0, dtype=np.float64)
        variance = states[nonzero].var(axis=0, dtype=np.float64)
    return half if (error <= variance * _MAX_RELATIVE_ERROR**2).all() else states


def pack_codes(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, d_sae: int) -> dict[str, np.ndarray]:
    """Encode CSR activations as byte planes of row counts, gaps between latents, and values.

    indptr [n + 1]; indices and values [m], with latents ascending within each row. See `compact_activations`.
    """
    counts = np.diff(indptr)
    narrow_indices = indices.astype(np.uint16 if d_sae <= 1 << 16 else np.int32)
    return {
        **_byte_planes("counts", counts.astype(np.uint16 if counts.max(initial=0) < 1 << 16 else np.int32)),
        **_byte_planes("gaps", encode_gaps(narrow_indices, indptr)),
        **_byte_planes("values", compact_activations(values)),
    }


INDPTR_ARRAYS = ("indptr", *(f"counts_byte{place}" for place in range(4)))
"""Arrays that `unpack_indptr` may read; a shard has some of them."""
ACTIVATION_ARRAYS = ("indices", "values", *(f"{name}_byte{place}" for name in ("gaps", "values") for place in range(4)))
"""Arrays that `unpack_codes` may read; a shard has some of them."""


def unpack_indptr(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Decode indptr [n + 1], int32 if it fits, else int64. Raises KeyError if arrays are missing."""
    if "indptr" in arrays:  # shard of an earlier version
        return arrays["indptr"]
    counts = _from_byte_planes("counts", arrays, (np.uint16, np.int32))
    indptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    smallest: np.ndarray = indptr.astype(np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64)
    return smallest


def unpack_codes(arrays: Mapping[str, np.ndarray], indptr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode indices and values [m], in their stored types. Raises KeyError if arrays are missing."""
    if "indices" in arrays:  # shard of an earlier version
        return arrays["indices"], arrays["values"]
    index_gaps = _from_byte_planes("gaps", arrays, (np.uint16, np.int32))
    return decode_gaps(index_gaps, indptr), _from_byte_planes("values", arrays, (np.float16, np.float32))


def encode_gaps(indices: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return each index minus its predecessor in the row (the first minus 0); indices [m] ascend within rows."""
    result = np.diff(indices, prepend=indices[:1])
    first = indptr[:-1][np.diff(indptr) > 0]
    result[first] = indices[first]
    return result


def decode_gaps(index_gaps: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Invert `encode_gaps`, keeping the type. The cumulative sum may wrap around; the differences are still exact."""
    unsigned = np.dtype(f"u{index_gaps.dtype.itemsize}")
    total = np.zeros(len(index_gaps) + 1, dtype=unsigned)
    np.cumsum(index_gaps.view(unsigned), dtype=unsigned, out=total[1:])
    indices: np.ndarray = (total[1:] - np.repeat(total[indptr[:-1]], np.diff(indptr))).view(index_gaps.dtype)
    return indices


def _byte_planes(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """Return the byte planes `name_byte0`, `name_byte1` … of an array [m], lowest first, each uint8 [m]."""
    size = array.dtype.itemsize
    octets = array.astype(array.dtype.newbyteorder("<")).view(np.uint8).reshape(len(array), size)
    return {f"{name}_byte{place}": octets[:, place].copy() for place in range(size)}


def _from_byte_planes(name: str, arrays: Mapping[str, np.ndarray], types: tuple[type, type]) -> np.ndarray:
    """Rebuild an array [m] from its byte planes. types: number type of two planes and of four planes."""
    size = 4 if f"{name}_byte3" in arrays else 2
    octets = np.stack([arrays[f"{name}_byte{place}"] for place in range(size)], axis=1)
    number_type = types[size // 4]
    array: np.ndarray = octets.view(np.dtype(number_type).newbyteorder("<")).reshape(-1).astype(number_type, copy=False)
    return array
