"""Training jobs from stored samples to saved SAEs: output files, reuse, conflicts and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import SAE

from saefari.config import Corpus
from saefari.data.slug import dataset_slug
from saefari.errors import ConflictError, SaeError
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.source import ModelSource
from saefari.models.text_model import TextModel
from saefari.store import SamplesWriter, iter_token_rows, read_split, write_split
from saefari.train import run as run_module
from saefari.train import save as save_module
from saefari.train.job import ProgressFiles, SaeJob, TrainingData, TrainJob
from saefari.train.run import run_train, trained
from saefari.train.training_rows import RowPlan, StoredRows

FILES = ["cfg.json", "density.npz", "quality.json", "sae_weights.safetensors"]
MakeJob = Callable[..., SaeJob]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 rows of 3 to 14 tokens; every fifth is a test row."""
    folder = tmp_path_factory.mktemp("samples") / "train"
    generator = np.random.default_rng(1)
    with SamplesWriter(folder, {"dataset": "words", "max_length": 64, "include_special_tokens": False}) as writer:
        for row in range(500):
            ids = generator.integers(4, 40, generator.integers(3, 15)).tolist()
            writer.write({"row": row, "input_ids": ids, "valid": list(range(len(ids)))})
    write_split(folder, (np.arange(500) % 5 == 0).astype(np.int8), {}, [])
    return folder


@pytest.fixture
def new_job(
    samples: Path, save_tiny: Callable[..., Path], make_job: MakeJob, tmp_path: Path
) -> Callable[..., TrainJob]:
    """new_job(*SaeJobs, corpus, model, log): a training job on the samples, or on a corpus."""

    def make(
        *saes: SaeJob, corpus: Corpus | None = None, model: str = "gpt2", log: str = "none", folder: str = "saes"
    ) -> TrainJob:
        return TrainJob(
            title="tiny",
            model=ModelSource("llm", str(save_tiny(model)), dtype="float32", device="cpu"),
            saes=saes or (make_job(tmp_path / "saes", n_positions=5000),),
            data=TrainingData(corpus=corpus) if corpus else TrainingData((samples,)),
            progress=ProgressFiles(tmp_path / folder / ".checkpoint", 0.0, log, tmp_path / "log"),
            seed=0,
            max_tokens=512,
            overwrite=False,
        )

    return make


def load(job: TrainJob) -> Callable[[], TextModel]:
    return lambda: TextModel.load(job.model.name, device="cpu")


def quality(sae: SaeJob) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((sae.folder / "quality.json").read_text())
    return record


def states(job: TrainJob, hook: HookPoint, *, held_out: bool) -> torch.Tensor:
    """Compute hidden states [n, d] of the job's held-out or training rows."""
    rows = StoredRows(RowPlan({folder: read_split(folder) for folder in job.data.samples}, job.seed))
    chosen = list(rows.held_out() if held_out else rows.training(0))
    return torch.cat([states[hook] for _, _, states in Forward(load(job)(), 512)(chosen, [hook])])


def test_it_opens_in_sae_lens_with_the_recorded_quality(new_job: Callable[..., TrainJob], make_job: MakeJob) -> None:
    job = new_job()
    (sae,) = job.saes
    assert run_train(job, load(job)) == []
    assert sorted(file.name for file in sae.folder.iterdir()) == FILES
    assert not job.progress.checkpoint.exists()
    hidden = states(job, sae.hook, held_out=True)
    opened = SAE.load_from_disk(str(sae.folder))
    with torch.no_grad():
        rebuilt = opened(hidden)
        acts = opened.encode(hidden)
    record = quality(sae)
    assert record["n_positions"] == len(hidden)
    fvu = ((rebuilt - hidden).square().sum() / (hidden - hidden.mean(dim=0)).square().sum()).item()
    assert record["fvu"] == pytest.approx(fvu, rel=1e-4)
    assert record["mse"] == pytest.approx((rebuilt - hidden).square().mean().item(), rel=1e-4)
    assert record["l0"] == pytest.approx((acts > 0).sum(dim=1).float().mean().item())
    assert record["l1"] == pytest.approx(acts.sum(dim=1).mean().item(), rel=1e-4)
    assert opened.W_dec.norm(dim=1).detach().numpy() == pytest.approx(np.ones(64), rel=1e-4)
    metadata = opened.cfg.metadata
    assert (metadata.hook_name, metadata.dataset_path, metadata.context_size) == (sae.hook.name, "words", 64)
    assert metadata.model_name == Path(job.model.name).name
    assert metadata.special_tokens == "in the context, not trained on"


def test_densities_are_measured_on_held_out_positions(new_job: Callable[..., TrainJob]) -> None:
    job = new_job()
    run_train(job, load(job))
    record, density = quality(job.saes[0]), np.load(job.saes[0].folder / "density.npz", allow_pickle=False)
    assert density["counts"].sum() / density["n_positions"] == pytest.approx(record["l0"])
    with np.errstate(divide="ignore"):
        assert density["log10_density"] == pytest.approx(np.log10(density["counts"] / density["n_positions"]), rel=1e-4)
    assert record["training"] == {"n_positions": 20 * 256, "n_steps": 20}
    assert record["curves"]["positions"][-1] == 20 * 256
    assert {len(curve) for curve in record["curves"].values()} == {20}


@pytest.mark.parametrize("how", ["constant_norm_rescale", "layer_norm", "none"])
def test_normalisations_are_stored_with_the_sae(
    new_job: Callable[..., TrainJob], make_job: MakeJob, tmp_path: Path, how: str
) -> None:
    job = new_job(make_job(tmp_path, architecture="topk", k=8, n_positions=8000, normalize_activations=how))
    (sae,) = job.saes
    run_train(job, load(job))
    opened = SAE.load_from_disk(str(sae.folder))
    assert opened.cfg.normalize_activations == how
    hidden = states(job, sae.hook, held_out=True)
    with torch.no_grad():
        error = (opened(hidden) - hidden).square().sum() / (hidden - hidden.mean(dim=0)).square().sum()
    assert quality(sae)["fvu"] == pytest.approx(error.item(), rel=1e-3)
    assert error < 0.7
    if how != "none":
        louder = opened.encode(3 * hidden)
        assert torch.allclose(louder, opened.encode(hidden), atol=1e-3)


def test_the_cross_entropy_of_a_language_model_is_recorded(
    new_job: Callable[..., TrainJob], make_job: MakeJob, tmp_path: Path, save_tiny: Callable[..., Path]
) -> None:
    saes = [make_job(tmp_path, width=str(k), k=k, d_sae=64, n_positions=10_000) for k in (1, 32)]
    job = new_job(*saes)
    run_train(job, load(job))
    poor, good = (quality(sae)["cross_entropy"] for sae in saes)
    assert (poor["clean"], poor["zero"]) == (good["clean"], good["zero"])
    assert abs(good["spliced"] - good["clean"]) < abs(good["zero"] - good["clean"])
    for entropy in (poor, good):
        recovered = (entropy["zero"] - entropy["spliced"]) / (entropy["zero"] - entropy["clean"])
        assert entropy["recovered"] == pytest.approx(recovered)
    encoder = new_job(make_job(tmp_path / "encoder", n_positions=256), model="bert", folder="encoder")
    run_train(encoder, load(encoder))
    assert quality(encoder.saes[0])["cross_entropy"] is None


def test_a_trained_sae_is_reused_and_other_settings_conflict(
    new_job: Callable[..., TrainJob], make_job: MakeJob, tmp_path: Path
) -> None:
    job = new_job()
    run_train(job, load(job))
    assert [sae.folder for sae in trained(job)] == [job.saes[0].folder]
    written = (job.saes[0].folder / "quality.json").stat().st_mtime_ns

    def none() -> TextModel:
        raise AssertionError("the model is not needed")

    run_train(job, none)
    assert (job.saes[0].folder / "quality.json").stat().st_mtime_ns == written
    other = new_job(make_job(tmp_path / "saes", n_positions=5000, k=8))
    assert trained(other) == []
    with pytest.raises(ConflictError, match=r"k: 4 stored, 8 now"):
        run_train(other, load(other))
    run_train(replace(other, overwrite=True), load(other))
    assert quality(other.saes[0])["settings"]["k"] == 8


def test_an_interruption_leaves_no_folder(new_job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job()
    folder = job.saes[0].folder

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(save_module, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_train(job, load(job))
    assert list(folder.parent.iterdir()) == []
    monkeypatch.undo()
    folder.with_name(f".{folder.name}.partial").mkdir()
    run_train(job, load(job))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_files_contain_no_path(new_job: Callable[..., TrainJob], tmp_path: Path) -> None:
    job = new_job()
    run_train(job, load(job))
    for name in ("cfg.json", "quality.json"):
        text = (job.saes[0].folder / name).read_text()
        assert str(tmp_path) not in text
        assert str(Path(job.model.name).parent) not in text


def test_a_diverged_sae_is_an_error_after_the_others_are_saved(
    new_job: Callable[..., TrainJob], make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = run_module.train_saes

    def one_diverges(*arguments: Any) -> Any:
        fits = original(*arguments)
        fits[0].failure = "32 (layer 1) diverged"
        return fits

    monkeypatch.setattr(run_module, "train_saes", one_diverges)
    job = new_job(*(make_job(tmp_path, width=width, n_positions=1000) for width in ("32", "64")))
    with pytest.raises(SaeError, match=r"32 \(layer 1\) diverged"):
        run_train(job, load(job))
    assert [sae.width for sae in trained(job)] == ["64"]
    assert not job.saes[0].folder.exists()


@pytest.mark.parametrize("packed", [True, False])
def test_a_corpus_instead_of_training_rows(
    new_job: Callable[..., TrainJob], write_texts: Callable[..., None], tmp_path: Path, packed: bool
) -> None:
    write_texts(tmp_path / "texts.jsonl", 800)
    corpus = Corpus(name=str(tmp_path / "texts.jsonl"), context_size=32, packed=packed)
    job = new_job(corpus=corpus)
    run_train(job, load(job))
    metadata = SAE.load_from_disk(str(job.saes[0].folder)).cfg.metadata
    assert metadata.dataset_path == dataset_slug(corpus.name)
    assert metadata.context_size == 32
    assert quality(job.saes[0])["n_positions"] > 100


def test_curves_for_tensorboard(new_job: Callable[..., TrainJob]) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    job = new_job(log="tensorboard")
    run_train(job, load(job))
    (folder,) = job.progress.log_folder.iterdir()
    written = events.EventAccumulator(str(folder))
    written.Reload()
    curve = [(point.step, point.value) for point in written.Scalars("fvu/64 (layer 1)")]
    record = quality(job.saes[0])["curves"]
    assert [step for step, _ in curve] == [min(step, 5000) for step in record["positions"]]
    assert [value for _, value in curve] == pytest.approx(record["fvu"])


def test_curves_for_weights_and_biases(new_job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    job = new_job(log="wandb")
    run_train(job, load(job))
    assert list(job.progress.log_folder.rglob("run-*.wandb"))


def test_a_missing_log_package_is_an_error_before_training(
    new_job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    job = new_job(log="tensorboard")
    with pytest.raises(SaeError, match=r"settings\.training_log is 'tensorboard'.*pip install"):
        run_train(job, load(job))
    assert not job.saes[0].folder.exists()


def test_evaluation_rows_are_not_trained_on(
    new_job: Callable[..., TrainJob], samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job()
    model = load(job)()
    seen: list[tuple[int, ...]] = []
    original = model.capture
    monkeypatch.setattr(
        model, "capture", lambda ids, hooks: seen.extend(tuple(row.tolist()) for row in ids) or original(ids, hooks)
    )
    monkeypatch.setattr(run_module, "_save", lambda *_: None)
    run_train(job, lambda: model)
    texts = [tuple(row.input_ids.tolist()) for _, rows in iter_token_rows(samples) for row in rows]
    test = {texts[i] for i in range(0, 500, 5)}
    kept = StoredRows(RowPlan({samples: read_split(samples)}, 0)).held_out()
    assert not set(seen) & (test | {tuple(row.input_ids.tolist()) for row in kept})
    assert len(set(seen)) == 360
