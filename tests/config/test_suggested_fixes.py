"""Errors that suggest a fix: an empty entry, a key of another section."""

from __future__ import annotations

import pytest
import yaml

from saefari.config import parse_config
from saefari.errors import ConfigError


def test_empty_entry_and_misplaced_key_suggest_a_fix() -> None:
    raw = yaml.safe_load(
        """
        models: [{name: google/gemma-2-2b, layers: [12], widths: [16k]}]
        datasets:
          - {name: example/harbour_notices, text_field: text, batch_size: 4, top_n_values: [0]}
          -
        classification_params:
        """
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert found["datasets[1]"] == "empty entry: remove its dash, or fill it in"
    assert found["classification_params"] == "empty section: remove the key, or fill it in"
    assert found["datasets[0].batch_size"].endswith("(it is settings.batch_size)")
    assert found["datasets[0].top_n_values"].endswith("(it is classification_params.top_n_values)")
