"""The section `datasets`."""

from __future__ import annotations

from saefari.config.section import Optional, Section, Text


class DatasetSpec(Section):
    """One dataset split and its columns. `datasets` is a list of these.

    A split may be listed several times with different `text_field`s (for example original and translated texts); each
    entry has its own folders, baselines and rows.
    """

    name: Text
    """A local file or folder, an embedded dataset or a Hugging Face hub id, tried in that order. See [Data](data.md)
    for file formats and [Images](images.md) for image folders."""
    config_name: Optional = None
    """Configuration of a hub dataset; of a local folder, the name of a sub-folder."""
    split: Text = "train"
    """The split to read."""
    test_split: Optional = None
    """The split that provides the test rows. `null`: `split` is divided, see `settings.test_size`."""
    text_field: Optional = None
    """Column of the texts; required if a model reads texts. `message.body` is the value `body` of the object `message`,
    for every column key."""
    label_field: Text | None = "label"
    """Column of the classes to predict."""
    image_field: Optional = None
    """Column of the images; required if a model reads images."""
    id_field: Optional = None
    """Column of an identifier that is shown with each row."""
    group_field: Optional = None
    """Rows with the same value of this column stay on one side of every split."""
    text_is_label: bool = False
    """Accept a text that reveals the label. Without it, such a text is an error if a model's `positions` can see it.
    See [Texts that reveal the label](data.md#texts-that-reveal-the-label)."""
    revision: Optional = None
    """Branch, tag or commit of a hub dataset."""
