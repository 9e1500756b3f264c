"""The only code that knows the paths and file formats of the output tree."""

from saefari.store.files import write_json, write_parquet
from saefari.store.layout import Layout, codes_folder, hidden_folder
from saefari.store.lock import hold_tree
from saefari.store.manifest import Decision, Manifest, ShardRecord, decide
from saefari.store.results import finished_result, iter_results, read_result
from saefari.store.samples import (
    SamplesWriter,
    TokenisedRow,
    iter_samples,
    iter_token_rows,
    read_samples,
    read_samples_record,
    read_split,
    read_split_record,
    write_split,
)
from saefari.store.shards import (
    CodesShard,
    HiddenShard,
    codes_arrays,
    iter_codes,
    iter_hidden_positions,
    read_arrays,
    read_pooled_hidden,
    shard_ranges,
    write_shard,
)

__all__ = [
    "CodesShard",
    "Decision",
    "HiddenShard",
    "Layout",
    "Manifest",
    "SamplesWriter",
    "ShardRecord",
    "TokenisedRow",
    "codes_arrays",
    "codes_folder",
    "decide",
    "finished_result",
    "hidden_folder",
    "hold_tree",
    "iter_codes",
    "iter_hidden_positions",
    "iter_results",
    "iter_samples",
    "iter_token_rows",
    "read_arrays",
    "read_pooled_hidden",
    "read_result",
    "read_samples",
    "read_samples_record",
    "read_split",
    "read_split_record",
    "shard_ranges",
    "write_json",
    "write_parquet",
    "write_shard",
    "write_split",
]
