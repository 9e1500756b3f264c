"""BOS from the plan to live prediction, for SAEs with and without `prepend_bos` in their metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from saefari.config import parse_config
from saefari.errors import ConfigError
from saefari.pipeline.commands.cli import run_experiments
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.live.predict import predict_text
from saefari.saes import entries
from saefari.store import Layout, Manifest, iter_hidden_positions, read_codes_rows, read_samples, read_samples_record

from ..tiny import SHORT, Raw, plan_of, samples, tiny_settings


@pytest.fixture
def given(
    tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any], write_texts: Callable[..., Any]
) -> Callable[..., Raw]:
    """given(kind, prepend_bos...) -> a configuration with one SAE for each value, at layers 1, 2, …"""
    write_texts(tmp_path / "texts.jsonl", 120)

    def make(kind: str, *prepend_bos: bool | None, **settings: Any) -> Raw:
        for layer, wanted in enumerate(prepend_bos, start=1):
            metadata = {} if wanted is None else {"prepend_bos": wanted}
            save_sae(tmp_path / f"sae_{layer}", f"blocks.{layer}.hook_resid_post", 32, metadata=metadata)
        path = str(tmp_path / "sae_{layer}")
        layers = list(range(1, len(prepend_bos) + 1))
        return {
            "settings": tiny_settings(tmp_path, store_positions=True, **settings),
            "models": [{"name": str(save_tiny(kind)), "layers": layers, "widths": ["64"], "sae_path": path}],
            "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
        }

    return make


def states_of(model: str, texts: list[str], bos: bool) -> list[np.ndarray]:
    """Hidden states after block 1 of each text's words, by Hugging Face, with BOS prepended by hand."""
    loaded, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    states = []
    for text in texts:
        ids = [tokenizer.bos_token_id] * bos + tokenizer(text, add_special_tokens=False)["input_ids"]
        if not ids:
            states.append(np.zeros((0, 32)))
            continue
        with torch.no_grad():
            found = loaded(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0]
        states.append(found[int(bos) :].numpy())
    return states


@pytest.mark.parametrize(
    ("kind", "prepend_bos", "add_bos", "bos", "recorded"),
    [
        ("gpt2", True, "auto", True, True),
        ("gpt2", False, "auto", False, None),
        ("gpt2", None, "auto", False, None),
        ("gpt2", None, True, True, True),
        ("gpt2", True, False, False, None),
        ("llama", True, "auto", True, None),
        ("llama", False, "auto", False, False),
        ("llama", None, "auto", True, None),
        ("llama", None, False, False, False),
    ],
)
def test_texts_begin_as_in_the_training_of_the_sae(
    given: Callable[..., Raw],
    tmp_path: Path,
    kind: str,
    prepend_bos: bool | None,
    add_bos: Any,
    bos: bool,
    recorded: Any,
) -> None:
    raw = given(kind, prepend_bos)
    raw["models"][0]["add_bos"] = add_bos
    assert run_plan(plan_of(raw), classifying=False).failures == []
    folder = samples(tmp_path)
    texts = read_samples(folder, ["text"])["text"].to_pylist()
    expected = states_of(raw["models"][0]["name"], texts, bos)
    (shard,) = iter_hidden_positions(folder / "layer_1" / "hidden")
    assert np.diff(shard.offsets).tolist() == [len(states) for states in expected]
    np.testing.assert_allclose(shard.positions, np.concatenate(expected), rtol=2e-3, atol=2e-3)
    record = read_samples_record(folder)
    assert record is not None
    assert record["settings"].get("prepend_bos") is recorded
    for name in ("hidden", "64"):
        manifest = Manifest.load(folder / "layer_1" / name)
        assert manifest is not None
        assert manifest.settings.get("prepend_bos") is recorded


def test_two_saes_that_disagree_are_an_error(
    given: Callable[..., Raw], saved: Callable[[Raw], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    raw = given("gpt2", None, True, False)
    assert run_experiments([*saved(raw), "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert "models[0].add_bos: auto: the metadata of two SAEs disagree" in message
    assert "'64' of layer 2" in message
    assert "'64' of layer 3" in message
    assert "settings.base_save_dir" in message
    for chosen in (True, False):
        raw["models"][0]["add_bos"] = chosen
        assert plan_of(raw).models[0].bos.change is (chosen or None)


def test_bos_without_such_a_token_is_an_error(given: Callable[..., Raw], tmp_path: Path) -> None:
    import shutil

    raw = given("gpt2", True)
    folder = tmp_path / "without"
    shutil.copytree(raw["models"][0]["name"], folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = None
    tokenizer.save_pretrained(folder)
    raw["models"][0] |= {"name": str(folder), "add_bos": True}
    with pytest.raises(ConfigError, match=r"models\[0\].add_bos: True: the tokenizer of .* has no BOS token"):
        plan_of(raw)
    raw["models"][0]["add_bos"] = "auto"  # as sae-lens itself does with Qwen's
    plan = plan_of(raw)
    assert plan.models[0].bos.change is None
    assert "none is added" in plan.notes[0]


def test_image_models_have_no_bos_setting(given: Callable[..., Raw]) -> None:
    raw = given("llama", None)
    raw["datasets"][0]["image_field"] = "image"
    raw["models"][0] |= {"model_type": "vlm", "add_bos": True}
    with pytest.raises(ConfigError, match=r"models\[0\].add_bos: True: the processor of an image model"):
        plan_of(raw)


def test_data_with_another_bos_setting_are_not_reused(given: Callable[..., Raw], tmp_path: Path) -> None:
    raw = given("gpt2", True)
    raw["models"][0]["add_bos"] = False
    assert run_plan(plan_of(raw), classifying=False).failures == []
    raw["models"][0]["add_bos"] = "auto"
    (failure,) = run_plan(plan_of(raw), classifying=False).failures
    assert "prepend_bos: None -> True" in failure.reason
    (failure,) = run_plan(plan_of(raw), training=False, extracting=False).failures
    assert "prepend_bos: None -> True" in failure.reason


@pytest.mark.parametrize("corpus", [False, True])
@pytest.mark.parametrize(
    ("kind", "add_bos", "expected"), [("gpt2", True, True), ("gpt2", "auto", False), ("llama", "auto", True)]
)
def test_an_sae_trained_in_the_run_records_bos(
    given: Callable[..., Raw], tmp_path: Path, kind: str, add_bos: Any, expected: bool, corpus: bool
) -> None:
    from sae_lens import SAE

    raw = given(kind, None)
    training = dict(SHORT)
    if corpus:
        training["corpus"] = {"name": str(tmp_path / "texts.jsonl"), "text_field": "text", "context_size": 16}
    raw["models"] = [{"name": raw["models"][0]["name"], "layers": [1], "add_bos": add_bos}]
    raw["sae_training"] = [{"d_sae": 48, **training}]
    assert run_plan(plan_of(raw), classifying=False).failures == []
    (folder,) = (path.parent for path in (tmp_path / "saes").rglob("cfg.json"))
    assert SAE.load_from_disk(str(folder)).cfg.metadata.prepend_bos is expected
    settings = json.loads((folder / "quality.json").read_text())["settings"]
    assert settings.get("prepend_bos") is (True if corpus and add_bos is True else None)
    del raw["sae_training"]
    raw["settings"] = tiny_settings(tmp_path / "again")
    raw["models"][0] |= {"widths": ["48"], "sae_path": str(folder), "add_bos": "auto"}
    assert plan_of(raw).models[0].bos.change is (add_bos if add_bos is True else None)


def test_metadata_that_come_with_the_sae_are_checked_before_the_first_forward_pass(
    given: Callable[..., Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sae_lens import SAE

    from saefari.models.text_model import TextModel

    raw = given("gpt2", True)
    monkeypatch.setattr(
        SAE,
        "from_pretrained",
        lambda release, sae_id, device, dtype: SAE.load_from_disk(tmp_path / "sae_1", device, dtype=dtype),
    )
    monkeypatch.setitem(entries._supplement()["d_model"], "gpt2-small", 32)
    del raw["models"][0]["sae_path"]
    raw["models"][0] |= {"sae_release": "gpt2-small-resid-post-v5-32k", "widths": ["32k"]}
    plan = plan_of(raw)
    assert not plan.models[0].bos.known
    with monkeypatch.context() as patched:
        patched.setattr(TextModel, "capture", lambda *_: pytest.fail("a forward pass"))
        (failure,) = run_plan(plan, classifying=False).failures
    assert "was trained with BOS before every text" in failure.reason
    assert "set add_bos: true for this model" in failure.reason
    raw["models"][0]["add_bos"] = True
    assert run_plan(plan_of(raw), classifying=False, overwrite=True).failures == []


@pytest.mark.parametrize("prepend_bos", [True, False])
def test_live_prediction_uses_the_stored_bos_setting(
    given: Callable[..., Raw], tmp_path: Path, prepend_bos: bool
) -> None:
    raw = given("gpt2" if prepend_bos else "llama", prepend_bos)
    raw["settings"]["base_save_dir"] = str(tmp_path / "activations")
    # A given SAE is found again below the tree's own SAEs.
    (tmp_path / "saes").mkdir()
    (tmp_path / "sae_1").rename(tmp_path / "saes" / "sae_1")
    raw["models"][0]["sae_path"] = str(tmp_path / "saes" / "sae_1")
    assert run_plan(plan_of(raw)).failures == []
    (folder,) = (path.parent for path in tmp_path.rglob("results.json") if "64" in path.parts)
    split = samples(tmp_path)
    texts = read_samples(split, ["text"])["text"].to_pylist()
    layout = Layout(tmp_path / "activations", tmp_path / "classifications")
    for row in (3, 8, 21):
        live = predict_text(layout, folder, "linear", texts[row], raw["models"][0]["name"])
        stored = read_codes_rows(split / "layer_1" / "64", [row]).to_csr()
        np.testing.assert_allclose(live.codes.toarray(), stored.toarray(), rtol=2e-3, atol=1e-5)


def test_entries_of_one_model_must_agree(given: Callable[..., Raw]) -> None:
    raw = given("gpt2", None, None)
    raw["models"] = [raw["models"][0] | {"layers": [1]}, raw["models"][0] | {"layers": [2], "add_bos": True}]
    with pytest.raises(ConfigError, match=r"models\[1\].add_bos"):
        plan_of(raw)


@pytest.mark.parametrize("value", ["yes please", 3, None])
def test_other_values_are_errors(given: Callable[..., Raw], value: Any) -> None:
    raw = given("gpt2", None)
    raw["models"][0]["add_bos"] = value
    with pytest.raises(ConfigError, match="add_bos"):
        parse_config(raw)
