"""A small output tree with codes of one SAE, written by the store's own writers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saefari.store import Layout, Manifest, SamplesWriter, codes_arrays, codes_folder, shard_ranges, write_shard

MODEL, LAYER, WIDTH = "m--tiny", 1, "tiny"


def write_codes(
    output: Path, dense: np.ndarray, lengths: list[int], labels: list[str | None], shard_rows: int, dataset: str = "d"
) -> Path:
    """Codes dense [n_positions, d_sae] of rows with these lengths; position j of row i is the word `w{i}_{j}`.

    Rows are numbered 0, 10, 20 …, as where a run sampled them. Returns the folder.
    """
    samples = Layout.below(output).samples(MODEL, dataset, None, "train")
    with SamplesWriter(samples, {}) as writer:
        for i, (length, label) in enumerate(zip(lengths, labels, strict=True)):
            writer.write(_row(i, length, label))
    folder = codes_folder(samples, LAYER, WIDTH)
    manifest = Manifest("codes", {}, len(lengths), facts={"d_sae": dense.shape[1]})
    ends = np.concatenate([[0], np.cumsum(lengths)])
    for index, (start, stop) in enumerate(shard_ranges(len(lengths), shard_rows)):
        part = dense[ends[start] : ends[stop]]
        indptr = np.concatenate([[0], np.cumsum((part > 0).sum(axis=1))])
        arrays = codes_arrays(
            indptr, np.nonzero(part)[1], part[part > 0], ends[start : stop + 1] - ends[start], dense.shape[1]
        )
        stats = {"stat_counts": (part > 0).sum(axis=0), "stat_n_positions": np.asarray(len(part))}
        manifest.add(write_shard(folder, index, (start, stop), arrays | stats))
    manifest.save(folder)
    return folder


def _row(i: int, length: int, label: str | None) -> dict[str, object]:
    words = [f"w{i}_{j}" for j in range(length)]
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])[:length]
    return {
        "row": 10 * i,
        "id": str(i),
        "text": " ".join(words),
        "label": label,
        "group": None,
        "n_tokens": length,
        "input_ids": list(range(length)),
        "valid": list(range(length)),
        "span_start": starts.tolist(),
        "span_end": [int(start) + len(word) for start, word in zip(starts, words, strict=True)],
    }
