"""Smaller forms of the arrays of a shard: half precision, gaps between indices, byte planes.

A byte plane holds one byte of every number of an array, little-endian. The upper planes (exponents; gaps beyond 255)
repeat and compress well, the lowest hardly does; side by side, as numbers have their bytes, they spoil each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_SMALLEST, _LARGEST = float(np.finfo(np.float16).smallest_normal), float(np.finfo(np.float16).max)
_MAX_RELATIVE_ERROR = 1 / 256


def compact_activations(values: np.ndarray) -> np.ndarray:
    """float16 where all values [m] > 0 are in its normal range (relative error 2**-11), else float32."""
    fits = values.size == 0 or (values.min() >= _SMALLEST and values.max() <= _LARGEST)
    return values.astype(np.float16 if fits else np.float32)


def compact_states(states: np.ndarray) -> np.ndarray:
    """float16 where rounding loses nothing that a probe sees, else the float32 states [n, d] as they are.

    A probe standardises every dimension. In each, the root mean square of the rounding errors must be at most 1/256 of
    the standard deviation: noise of 0.0015% of the variance. A dimension whose mean is large beside its spread, whose
    numbers are tiny, or that holds a number beyond float16's range, fails. Rows of zeros (no position) do not count.
    """
    with np.errstate(over="ignore"):
        half = states.astype(np.float16)
    held = states.any(axis=1)
    if not held.any():
        return half
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.square(half[held].astype(np.float32) - states[held]).mean(axis=0, dtype=np.float64)
        variance = states[held].var(axis=0, dtype=np.float64)
    return half if (error <= variance * _MAX_RELATIVE_ERROR**2).all() else states


def pack_codes(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, d_sae: int) -> dict[str, np.ndarray]:
    """Compressed sparse rows of activations, as byte planes: the rows' counts, the gaps between latents, the values.

    indptr [n + 1]; indices and values [m], the latents ascending within each row. Values are halved where they can be.
    """
    counts, most = np.diff(indptr), np.diff(indptr).max(initial=0)
    narrow = indices.astype(np.uint16 if d_sae <= 1 << 16 else np.int32)
    return {
        **_byte_planes("counts", counts.astype(np.uint16 if most < 1 << 16 else np.int32)),
        **_byte_planes("gaps", encode_gaps(narrow, indptr)),
        **_byte_planes("values", compact_activations(values)),
    }


INDPTR_ARRAYS = ("indptr", *(f"counts_byte{place}" for place in range(4)))
"""The names of what `unpack_indptr` reads; a shard has some of them."""
ACTIVATION_ARRAYS = ("indices", "values", *(f"{name}_byte{place}" for name in ("gaps", "values") for place in range(4)))
"""The names of what `unpacked` reads; a shard has some of them."""


def unpack_indptr(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """indptr [n + 1], int32 where that holds it. Raises KeyError where the arrays lack it."""
    if "indptr" in arrays:  # a shard of an earlier version
        return arrays["indptr"]
    counts = _from_byte_planes("counts", arrays, (np.uint16, np.int32))
    indptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    narrow: np.ndarray = indptr.astype(np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64)
    return narrow


def unpack_codes(arrays: Mapping[str, np.ndarray], indptr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices and values [m], in the narrow types they are stored in. Raises KeyError where the arrays lack them."""
    if "indices" in arrays:  # a shard of an earlier version
        return arrays["indices"], arrays["values"]
    between = _from_byte_planes("gaps", arrays, (np.uint16, np.int32))
    return decode_gaps(between, indptr), _from_byte_planes("values", arrays, (np.float16, np.float32))


def encode_gaps(indices: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Of indices [m] that ascend within each row, the distance to the one before, the first to zero; same type."""
    result = np.diff(indices, prepend=indices[:1])
    first = indptr[:-1][np.diff(indptr) > 0]
    result[first] = indices[first]
    return result


def decode_gaps(between: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """The inverse of `gaps`, of the same type: sums over the whole array may wrap around, their differences do not."""
    unsigned = np.dtype(f"u{between.dtype.itemsize}")
    total = np.zeros(len(between) + 1, dtype=unsigned)
    np.cumsum(between.view(unsigned), dtype=unsigned, out=total[1:])
    indices: np.ndarray = (total[1:] - np.repeat(total[indptr[:-1]], np.diff(indptr))).view(between.dtype)
    return indices


def _byte_planes(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """`name_byte0`, `name_byte1` …: the planes of an array [m], the lowest byte first, each uint8 [m]."""
    size = array.dtype.itemsize
    octets = array.astype(array.dtype.newbyteorder("<")).view(np.uint8).reshape(len(array), size)
    return {f"{name}_byte{place}": octets[:, place].copy() for place in range(size)}


def _from_byte_planes(name: str, arrays: Mapping[str, np.ndarray], types: tuple[type, type]) -> np.ndarray:
    """The array [m] whose planes are among `arrays`; types: what two planes hold, and what four hold."""
    size = 4 if f"{name}_byte3" in arrays else 2
    octets = np.stack([arrays[f"{name}_byte{place}"] for place in range(size)], axis=1)
    wide = types[size // 4]
    array: np.ndarray = octets.view(np.dtype(wide).newbyteorder("<")).reshape(-1).astype(wide, copy=False)
    return array
