"""Live prediction of stored texts equals the stored predictions; errors otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from saefari.classify.decisions import decide, load_classifier, stored_features
from saefari.errors import ModelError, SaeError, SaefariError, StoreError
from saefari.models.registry import UnreachableModel
from saefari.pipeline.commands.cli import run_experiments
from saefari.pipeline.live.predict import predict_text
from saefari.saes import entries
from saefari.store import Layout, read_codes_rows, read_sample_rows, read_samples

from ..tiny import tiny_settings

MAX_LENGTH = 8


@dataclass(frozen=True)
class Run:
    """A finished run of a tiny model, with live prediction."""

    root: Path
    model: str

    @property
    def layout(self) -> Layout:
        return Layout.below(self.root)

    def folder(self, *parts: str) -> Path:
        """The only result folder whose path contains all these parts."""
        found = [p.parent for p in self.root.rglob("results.json") if set(parts) <= set(p.parts)]
        assert len(found) == 1, found
        return found[0]

    def predict(self, folder: Path, classifier: str, text: str) -> Any:
        return predict_text(self.layout, folder, classifier, text, self.model)

    def check(self, folder: Path, classifier: str) -> None:
        """Every test row and an empty text get their stored probabilities, spans and codes."""
        stored = load_classifier(folder, classifier)
        samples = self.layout.activations / stored.result["samples"][-1]
        table = pq.read_table(folder / "predictions.parquet").to_pydict()
        expected = np.stack([table[f"{classifier}:{name}"] for name in stored.classes], axis=1)
        everything = read_samples(samples, ["row", "text"]).to_pydict()
        empty = everything["row"][everything["text"].index("")]
        (of_empty,) = decide(stored, stored_features(stored, samples, [empty]))
        wanted = [*table["row"], empty]
        rows = read_sample_rows(samples, wanted, ["row", "text", "span_start", "span_end", "n_tokens"]).to_pylist()
        assert any(row["n_tokens"] == MAX_LENGTH and row["span_end"][-1] < len(row["text"]) for row in rows)
        for row, probabilities in zip(rows, [*expected, of_empty.probabilities], strict=True):
            live = self.predict(folder, classifier, row["text"])
            np.testing.assert_allclose(live.probabilities, probabilities, atol=1e-4, err_msg=row["text"])
            np.testing.assert_array_equal(live.probabilities, live.decision.probabilities)
            if stored.features is not None:
                np.testing.assert_array_equal(live.spans[:, 0], row["span_start"])
                np.testing.assert_array_equal(live.spans[:, 1], row["span_end"])
            if stored.source == "sae":
                codes = read_codes_rows(samples / stored.features, [row["row"]]).to_csr()
                np.testing.assert_allclose(live.codes.toarray(), codes.toarray(), rtol=2e-3, atol=1e-5)
            else:
                assert live.codes is None


def run_again(root: Path, **settings: Any) -> None:
    path = root / "conf.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["settings"] |= settings
    path.write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(path)]) == 0


def experiment(
    root: Path, model: dict[str, Any], write_texts: Callable[..., Any], top_n: tuple[int, ...] = (0, 3), **settings: Any
) -> Run:
    write_texts(root / "texts.jsonl", 240, longest=10)
    raw = {
        "settings": tiny_settings(
            root,
            max_length=MAX_LENGTH,
            max_samples=160,  # so that a row's number is not its place
            **settings,
        ),
        "models": [{"layers": [1], "widths": ["64"], **model}],
        "datasets": [{"name": str(root / "texts.jsonl"), "text_field": "text"}],
        "classification_params": {"top_n_values": list(top_n), "pooling": ["sum"], "hidden_pooling": ["last", "mean"]},
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    run_again(root)
    return Run(root, model["name"])


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]
) -> Run:
    """An encoder with special tokens, an SAE trained in the run, and its control."""
    training = {"k": 6, "n_positions": 4096, "batch_size": 128, "buffer_size": 256}
    model = {"name": str(save_tiny("bert")), "sae_train": training, "random_sae": True}
    return experiment(tmp_path_factory.mktemp("trained"), model, write_texts)


@pytest.fixture
def copied(trained: Run, tmp_path: Path) -> Run:
    """A copy of the run, for tests that change it."""
    shutil.copytree(trained.root, tmp_path / "run")
    conf = tmp_path / "run" / "conf.yaml"
    conf.write_text(conf.read_text().replace(str(trained.root / "activations"), str(tmp_path / "run" / "activations")))
    conf.write_text(
        conf.read_text().replace(str(trained.root / "classifications"), str(tmp_path / "run" / "classifications"))
    )
    return Run(tmp_path / "run", trained.model)


@pytest.mark.parametrize("classifier", ["linear", "tree"])
@pytest.mark.parametrize(
    "parts",
    [("64", "sum_top0_bin-none"), ("64", "count_top3_bin-none"), ("hidden", "last"), ("hidden", "mean"), ("tfidf",)],
    ids="-".join,
)
def test_test_rows_get_their_stored_probabilities(trained: Run, parts: tuple[str, ...], classifier: str) -> None:
    trained.check(trained.folder(*parts), classifier)


def test_the_majority_class_needs_no_text(trained: Run) -> None:
    trained.check(trained.folder("majority"), "majority")


def test_special_tokens_count_if_the_run_counted_them(
    tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any], save_sae: Callable[..., Any]
) -> None:
    save_sae(tmp_path / "saes" / "mine", "blocks.1.hook_mlp_out", 32)
    model = {"name": str(save_tiny("llama")), "sae_path": str(tmp_path / "saes" / "mine")}
    run = experiment(tmp_path, model, write_texts, include_special_tokens=True, sae_location="mlp")
    run.check(run.folder("64", "sum_top0_bin-none"), "linear")
    assert run.predict(run.folder("64", "sum_top0_bin-none"), "linear", "the cat").spans.tolist()[0] == [0, 0]


def test_only_the_class_token_counts_if_the_run_counted_it(
    tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any], save_sae: Callable[..., Any]
) -> None:
    save_sae(tmp_path / "saes" / "mine", "blocks.1.hook_resid_post", 32)
    model = {"name": str(save_tiny("bert")), "sae_path": str(tmp_path / "saes" / "mine")}
    run = experiment(tmp_path, model, write_texts, (0,), positions="cls")
    run.check(run.folder("64", "sum_top0_bin-none"), "linear")
    assert run.predict(run.folder("64", "sum_top0_bin-none"), "linear", "the cat").spans.tolist() == [[0, 0]]


def test_rows_of_a_separate_test_split(
    tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any], save_sae: Callable[..., Any]
) -> None:
    save_sae(tmp_path / "saes" / "mine", "blocks.1.hook_resid_post", 32)
    (tmp_path / "both").mkdir()
    for seed, split in enumerate(("train", "test")):
        write_texts(tmp_path / "both" / f"{split}.jsonl", 240, seed=seed, longest=10)
    model = {"name": str(save_tiny("gpt2")), "sae_path": str(tmp_path / "saes" / "mine")}
    run = experiment(tmp_path, model, write_texts)
    raw = yaml.safe_load((tmp_path / "conf.yaml").read_text())
    raw["datasets"] = [{"name": str(tmp_path / "both"), "test_split": "test", "text_field": "text"}]
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(raw))
    run_again(tmp_path)
    folder = next(run.layout.classifications.glob("*/*both/train/layer_1/64/sum_top0_bin-none"))
    places = load_classifier(folder, "linear").result["samples"]
    assert [place.split("/")[-1] for place in places] == ["train", "test"]
    run.check(folder, "linear")


def test_a_centred_and_normalised_sae_of_the_catalogue(
    tmp_path: Path,
    save_tiny: Callable[..., Path],
    write_texts: Callable[..., Any],
    save_sae: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sae_lens import SAE

    folder = tmp_path / "cache"
    processed = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    save_sae(folder, "blocks.1.hook_resid_pre", 32, metadata=processed, normalize_activations="layer_norm")
    monkeypatch.setattr(
        SAE, "from_pretrained", lambda release, sae_id, device, dtype: SAE.load_from_disk(folder, device, dtype=dtype)
    )
    monkeypatch.setitem(entries._supplement()["d_model"], "gpt2-small", 32)
    model = {"name": str(save_tiny("gpt2")), "sae_release": "gpt2-small-res-jb", "widths": ["24k"]}
    run = experiment(tmp_path, model, write_texts)
    result = run.folder("24k", "sum_top0_bin-none")
    original = shutil.copytree(folder, tmp_path / "original")
    save_sae(folder, "blocks.1.hook_resid_pre", 32, d_sae=48, metadata=processed)
    with pytest.raises(SaeError, match=r"gpt2-small-res-jb.*other weights"):
        run.predict(result, "linear", "the cat")
    shutil.copytree(original, folder, dirs_exist_ok=True)
    run.check(result, "linear")


def test_a_given_sae_is_found_once_it_is_copied_into_the_tree(
    tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any], save_sae: Callable[..., Any]
) -> None:
    save_sae(tmp_path / "given", "blocks.1.hook_resid_post", 32)
    save_sae(tmp_path / "saes" / "another", "blocks.1.hook_resid_post", 32, d_sae=32)
    model = {"name": str(save_tiny("gpt2")), "sae_path": str(tmp_path / "given")}
    run = experiment(tmp_path, model, write_texts)
    result = run.folder("64", "sum_top0_bin-none")
    with pytest.raises(SaeError, match=r"is not below .*copy its folder there"):
        run.predict(result, "linear", "the cat")
    shutil.move(tmp_path / "given", tmp_path / "saes" / "mine")
    run.check(result, "linear")


def test_a_random_control_is_an_error(trained: Run) -> None:
    with pytest.raises(SaeError, match=r"random control.*not stored"):
        trained.predict(trained.folder("64-random", "sum_top0_bin-none"), "linear", "the cat")


def test_a_new_result_is_loaded(copied: Run) -> None:
    result = copied.folder("64", "sum_top0_bin-none")
    text = "the big cat sat"
    before = copied.predict(result, "tree", text).decision.path
    run_again(copied.root, tree_depth=1)
    after = copied.predict(result, "tree", text).decision.path
    assert len(before.steps) > 1
    assert len(after.steps) == 1
    copied.check(result, "tree")


def test_features_extracted_again_are_not_used_with_an_old_classifier(copied: Run) -> None:
    result = copied.folder("64", "sum_top0_bin-none")
    copied.predict(result, "linear", "the cat")
    path = next(copied.root.glob("activations/*/*/*/layer_1/64/manifest.json"))
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="was made from other features"):
        copied.predict(result, "linear", "the cat")
    path.unlink()
    with pytest.raises(StoreError, match=r"run `python run_experiments.py"):
        copied.predict(result, "linear", "the cat")


def change_model(run: Run, **changes: str) -> None:
    for path in run.root.glob("activations/*/*/*/layer_1/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["settings"]["model"] |= changes
        path.write_text(json.dumps(manifest))


def test_the_model_must_exist_and_match_the_record(copied: Run, save_tiny: Callable[..., Path]) -> None:
    result = copied.folder("hidden", "mean")
    with pytest.raises(ModelError, match="give its path"):
        predict_text(copied.layout, result, "linear", "the cat")
    with pytest.raises(ModelError, match="no such folder with a config"):
        predict_text(copied.layout, result, "linear", "the cat", "/nowhere/at/all")
    with pytest.raises(ModelError, match="other weights"):
        predict_text(copied.layout, result, "linear", "the cat", str(save_tiny("roberta")))
    change_model(copied, weights="0" * 40)  # a commit of the hub
    with pytest.raises(UnreachableModel, match="'nobody/nothing' is not cached"):
        predict_text(copied.layout, result, "linear", "the cat", "nobody/nothing")


def test_another_tokenizer_is_an_error(copied: Run) -> None:
    path = next(copied.root.glob("activations/*/*/*/samples.json"))
    record = json.loads(path.read_text())
    record["settings"]["tokenizer"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(ModelError, match="tokenizer"):
        copied.predict(copied.folder("hidden", "mean"), "linear", "the cat")


def test_missing_files_are_an_error(trained: Run, tmp_path: Path) -> None:
    for folder, classifier in ((tmp_path, "linear"), (trained.folder("tfidf"), "majority")):
        with pytest.raises(SaefariError):
            trained.predict(folder, classifier, "the cat")


def test_concurrent_predictions(trained: Run) -> None:
    result = trained.folder("64", "sum_top0_bin-none")
    texts = ["the big cat sat", "river", "", "it was under the tree slowly"] * 4
    alone = [trained.predict(result, "linear", text).probabilities for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: trained.predict(result, "linear", text).probabilities, texts))
    np.testing.assert_allclose(together, alone, atol=1e-6)
