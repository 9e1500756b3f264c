"""One dataset of conf.yaml."""

from __future__ import annotations

from saefari.config.section import Optional, Section, Text


class DatasetSpec(Section):
    name: Text
    """A local file or folder (CSV, TSV, JSON, Parquet, `save_to_disk`; images in a folder per class), an embedded
    dataset or a hub id."""
    config_name: Optional = None
    split: Text = "train"
    test_split: Optional = None
    """Where the test rows come from; none = a stratified split of `split`."""
    text_field: Optional = None
    """A column, as the other fields are; `message.body` is one inside an object."""
    label_field: Text | None = "label"
    """What the classifiers predict; none only where none is fitted."""
    image_field: Optional = None
    id_field: Optional = None
    group_field: Optional = None
    """Rows that share this value stay on one side of every split."""
    text_is_label: bool = False
    """The text gives the class away, and is meant to: otherwise refused where a model's positions see it."""
    revision: Optional = None
