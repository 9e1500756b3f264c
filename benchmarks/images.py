"""Cost of reading images during extraction, and its peak memory.

busy: extraction of JPEG files by a vision transformer of the size of ViT-B/16 (random weights, one SAE) with two worker
processes, relative to the same extraction with pixels in memory. Uses a GPU if there is one.
memory: peak of an extraction of 500 and of 4,000 images, each in its own process.
throughput: images decoded and preprocessed per second, by 0, 1 and 2 worker processes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from saefari.config import DatasetSpec, Settings, parse_config
from saefari.extract.job import Cell, ExtractJob, JobImages
from saefari.extract.prepare import run_prepare
from saefari.extract.prepare_job import PrepareJob
from saefari.extract.run import run_extract
from saefari.models.forward import Model
from saefari.models.image_loader import ImageLoader, Images, ReadRow
from saefari.models.model_types import load_model
from saefari.models.pretrained import pick_device
from saefari.models.source import ModelSource
from saefari.pipeline.execute.build_jobs import TOKENS_ON_CPU, TOKENS_ON_GPU
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.plan.make_plan import make_plan
from saefari.saes.ref import SaeRef
from saefari.store import ImageRow, iter_image_rows, read_samples_record

BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
LAYER, D_SAE, K = 11, 3072, 32
HEIGHT, WIDTH = 375, 500
N_WORKERS = 2
N_READ = 1000
"""Number of images for throughput; files are repeated, so that starting processes is negligible."""
MEMORY_IMAGES = (500, 4_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="of `busy`: 64 on a CPU, 4,096 on a GPU by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "IMAGES"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        _print_peaks(Path(flags.child[0]), int(flags.child[1]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _memory(folder)  # first: the peak of a child process includes the size of its parent
        _busy(folder, flags.images or (64 if pick_device("auto").type == "cpu" else 4096), flags.repeats)


def _busy(folder: Path, n_images: int, repeats: int) -> None:
    """Print the cost of preprocessing, and the share of time in which the model is busy."""
    _save_vit(folder / "base", patch_size=16, **BASE)
    _save_pictures(folder / "busy", n_images)
    extraction = _Extraction.prepared(folder, n_images)
    ready = extraction.ready()
    pairs = [(extraction.cost(extraction.loader), extraction.cost(ready)) for _ in range(repeats + 1)][1:]
    ours, limit = (
        _Cost(median(c.wall for c in side), median(c.cpu for c in side)) for side in zip(*pairs, strict=True)
    )
    device = extraction.model.device
    files = f"{WIDTH} x {HEIGHT} JPEG of {_kilobytes(folder / 'busy'):.0f} KB"
    print(f"images {n_images}, {files}, workers {N_WORKERS}, model on {device}")
    print(f"extraction from files  {ours.wall:7.2f} s   {n_images / ours.wall:6.1f} images/s   CPU {ours.cpu:7.2f} s")
    print(
        f"pixels ready           {limit.wall:7.2f} s   {n_images / limit.wall:6.1f} images/s   CPU {limit.cpu:7.2f} s"
    )
    ratios = " ".join(f"{b.wall / a.wall:.2f}" for a, b in pairs)
    print(
        f"the model is busy      {limit.wall / ours.wall:7.2f} of the time        (goal: at least 0.9; pairs: {ratios})"
    )
    for n_workers in range(N_WORKERS + 1):
        print(extraction.throughput(n_workers))


@dataclass(frozen=True)
class _Cost:
    """Seconds. cpu: of this process and its finished children."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class _Ready(ImageLoader):
    """Returns rows that were read before, by their number in the dataset."""

    rows: dict[int, ReadRow]

    def load(self, rows: Iterable[tuple[Any, Any]]) -> Generator[ReadRow]:
        """See ImageLoader."""
        yield from (self.rows[row.row] for row, _ in rows)


@dataclass(frozen=True)
class _Extraction:
    """One extraction with exchangeable image loaders."""

    samples: Path
    images: Images
    loader: ImageLoader
    model_path: Path
    model: Model
    ref: SaeRef

    @classmethod
    def prepared(cls, folder: Path, n_images: int) -> _Extraction:
        settings = Settings(image_workers=N_WORKERS)
        spec = DatasetSpec(name=str(folder / "busy"), image_field="image")
        path, samples = folder / "base", folder / "samples"
        run_prepare(PrepareJob("busy", ModelSource("vit", str(path)), "patches", spec, settings, samples, None, False))
        images = Images(spec, spec.split, (read_samples_record(samples) or {})["settings"]["fingerprint"])
        loader = ImageLoader.of("vit", str(path), None, "patches", settings)
        model = load_model(ModelSource("vit", str(path)))
        return cls(samples, images, loader, path, model, _save_sae(folder / "sae", model.d_model))

    def ready(self) -> _Ready:
        """Return all rows, read by this process, in memory."""
        rows = list(self._rows())
        read = ImageLoader(self.loader.reader, 0).load(self.images.of(rows))
        return _Ready(self.loader.reader, 0, {row.row: one for row, one in zip(rows, read, strict=True)})

    def cost(self, loader: ImageLoader) -> _Cost:
        """Return the seconds of one extraction."""
        device = self.model.device.type
        job = ExtractJob(
            title="benchmark",
            model=ModelSource("vit", str(self.model_path), device=device),
            samples=self.samples,
            calibration=self.samples,
            images=JobImages(self.images, self.images, loader),
            cells=(Cell(self.ref, trained=True),),
            encode=True,
            store_positions=False,
            max_tokens=TOKENS_ON_GPU if device == "cuda" else TOKENS_ON_CPU,
            max_sequences=None,
            seed=0,
            overwrite=False,
        )
        for manifest in self.samples.rglob("manifest.json"):
            manifest.unlink()
        start, cpu = time.perf_counter(), _cpu_seconds()
        run_extract(job, lambda: self.model)
        return _Cost(time.perf_counter() - start, _cpu_seconds() - cpu)

    def throughput(self, n_workers: int) -> str:
        """Return a line on reading `N_READ` images without a model."""
        rows = islice(cycle(self._rows()), N_READ)
        start, cpu = time.perf_counter(), _cpu_seconds()
        read = ImageLoader(self.loader.reader, n_workers).load(self.images.of(rows))
        next(read)
        first = time.perf_counter() - start
        for _ in read:
            pass
        wall, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
        each = f"CPU {1000 * cpu / N_READ:5.1f} ms per image, the first one after {first:.2f} s"
        return f"reading, {n_workers} workers     {N_READ / wall:6.1f} images/s   {each}"

    def _rows(self) -> Iterator[ImageRow]:
        return (row for _, rows in iter_image_rows(self.samples) for row in rows)


def _memory(folder: Path) -> None:
    """Print the peak memory for both numbers of images."""
    _save_vit(folder / "small", patch_size=32, **SMALL)
    peaks = []
    for n_images in MEMORY_IMAGES:
        _save_pictures(folder / f"images-{n_images}", n_images)
        command = [sys.executable, __file__, "--child", str(folder), str(n_images)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        main_process, worker = map(float, output.split()[-2:])
        peaks.append((main_process, worker))
        print(f"peak memory, {n_images:5,} images: {main_process:6.0f} MB, a worker {worker:6.0f} MB")
    more, in_worker = (b - a for a, b in zip(*peaks, strict=True))
    print(f"difference {more:+.0f} MB, in a worker {in_worker:+.0f} MB       (goal: within 200 MB)")


def _print_peaks(folder: Path, n_images: int) -> None:
    """Extract with a small model; print the peak memory of this process and of its largest worker, in MB."""
    output = folder / f"output-{n_images}"
    config = parse_config(
        {
            "settings": {
                "base_save_dir": str(output / "activations"),
                "base_classify_dir": str(output / "classifications"),
                "image_workers": N_WORKERS,
            },
            "models": [
                {
                    "name": str(folder / "small"),
                    "model_type": "vit",
                    "layers": [1],
                    "widths": ["1k"],
                    "sae_train": {"architecture": "topk", "k": 16, "n_positions": 5000},
                }
            ],
            "datasets": [{"name": str(folder / f"images-{n_images}"), "image_field": "image"}],
        }
    )
    report = run_plan(make_plan(config), classifying=False)
    if report.failures:
        raise SystemExit(report.failures)
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(*(resource.getrusage(who).ru_maxrss / 1024 for who in whose))


def _save_vit(folder: Path, **sizes: Any) -> None:
    import torch
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    torch.manual_seed(0)
    ViTModel(ViTConfig(image_size=224, **sizes), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)


def _save_sae(folder: Path, d_model: int) -> SaeRef:
    """Save a TopK SAE with random directions, whose codes are as sparse as those of a trained one."""
    import torch
    from sae_lens import TopKSAE, TopKSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    hook = f"blocks.{LAYER}.hook_resid_post"
    torch.manual_seed(0)
    TopKSAE(TopKSAEConfig(d_in=d_model, d_sae=D_SAE, k=K, metadata=SAEMetadata(hook_name=hook))).save_model(str(folder))
    return SaeRef(LAYER, "3k", path=str(folder), hook=hook)


def _save_pictures(folder: Path, n_images: int) -> None:
    """Write distinct JPEG files with the size and detail of photographs, in two classes."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    canvas = np.asarray(coarse.resize((2000, 2000), Image.Resampling.BICUBIC), dtype=np.float32)
    canvas = (canvas + generator.normal(0, 12, canvas.shape)).clip(0, 255).astype(np.uint8)
    for name in ("a", "b"):
        (folder / "train" / name).mkdir(parents=True)
    for i in range(n_images):
        y, x = generator.integers(0, 2000 - HEIGHT), generator.integers(0, 2000 - WIDTH)
        picture = Image.fromarray(canvas[y : y + HEIGHT, x : x + WIDTH])
        picture.save(folder / "train" / "ab"[i % 2] / f"{i:05d}.jpg", quality=85)


def _kilobytes(folder: Path) -> float:
    return median(path.stat().st_size for path in folder.rglob("*.jpg")) / 1024


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
