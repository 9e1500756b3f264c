"""The only code that knows the paths and file formats of the output tree."""

from saefari.store.compact import halved_states
from saefari.store.explanations import Explanation, read_explanation, read_explanations
from saefari.store.files import write_json, write_parquet
from saefari.store.heads import read_codes_head
from saefari.store.images import ImageView, cell_box, read_heat_map, read_views
from saefari.store.latents import strongest_latents, top_latents
from saefari.store.layout import Layout, codes_folder, hidden_folder
from saefari.store.lock import hold_tree
from saefari.store.manifest import Decision, Manifest, ShardRecord, decide
from saefari.store.predictions import Predictions, read_predictions
from saefari.store.reports import RunRecord, read_last_run
from saefari.store.results import finished_result, iter_results, read_result, read_summary, summary_table
from saefari.store.rows import read_codes_rows, read_hidden_rows, read_sample_rows
from saefari.store.saes import (
    SaeDensity,
    TrainedSae,
    curves_in,
    find_trained,
    gap_in,
    iter_trained,
    number_in,
    read_density,
    read_trained,
)
from saefari.store.samples import (
    IMAGE_SCHEMA,
    ImageRow,
    SamplesWriter,
    TokenisedRow,
    has_images,
    iter_image_rows,
    iter_position_counts,
    iter_samples,
    iter_token_rows,
    read_samples,
    read_samples_record,
    read_split,
    read_split_record,
    write_split,
)
from saefari.store.scan import FoundFile, find_files, looks_whole
from saefari.store.shards import (
    CodesShard,
    HiddenShard,
    codes_arrays,
    complete_manifest,
    iter_codes,
    iter_hidden_positions,
    read_arrays,
    read_pooled_hidden,
    shard_ranges,
    write_shard,
)
from saefari.store.vision import count_learned, read_learned
from saefari.store.weights import iter_decoder, read_decoder_row

__all__ = [
    "IMAGE_SCHEMA",
    "CodesShard",
    "Decision",
    "Explanation",
    "FoundFile",
    "HiddenShard",
    "ImageRow",
    "ImageView",
    "Layout",
    "Manifest",
    "Predictions",
    "RunRecord",
    "SaeDensity",
    "SamplesWriter",
    "ShardRecord",
    "TokenisedRow",
    "TrainedSae",
    "cell_box",
    "codes_arrays",
    "codes_folder",
    "complete_manifest",
    "count_learned",
    "curves_in",
    "decide",
    "find_files",
    "find_trained",
    "finished_result",
    "gap_in",
    "halved_states",
    "has_images",
    "hidden_folder",
    "hold_tree",
    "iter_codes",
    "iter_decoder",
    "iter_hidden_positions",
    "iter_image_rows",
    "iter_position_counts",
    "iter_results",
    "iter_samples",
    "iter_token_rows",
    "iter_trained",
    "looks_whole",
    "number_in",
    "read_arrays",
    "read_codes_head",
    "read_codes_rows",
    "read_decoder_row",
    "read_density",
    "read_explanation",
    "read_explanations",
    "read_heat_map",
    "read_hidden_rows",
    "read_last_run",
    "read_learned",
    "read_pooled_hidden",
    "read_predictions",
    "read_result",
    "read_sample_rows",
    "read_samples",
    "read_samples_record",
    "read_split",
    "read_split_record",
    "read_summary",
    "read_trained",
    "read_views",
    "shard_ranges",
    "strongest_latents",
    "summary_table",
    "top_latents",
    "write_json",
    "write_parquet",
    "write_shard",
    "write_split",
]
