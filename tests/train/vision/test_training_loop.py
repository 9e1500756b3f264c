"""Parts of the training loop with known answers: the best epoch, the learning rate, weight decay, and measuring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saefari.models.alexnet_preprocessing import pixel_values
from saefari.models.alexnet_transformer import AlexNetTransformerForImageClassification
from saefari.models.alexnet_transformer_config import AlexNetTransformerConfig
from saefari.train.vision import training_loop
from saefari.train.vision.division import UNKNOWN, Part
from saefari.train.vision.training_loop import Curves, measure


@pytest.fixture(scope="module")
def model() -> AlexNetTransformerForImageClassification:
    torch.manual_seed(0)
    config = AlexNetTransformerConfig(
        image_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, id2label=dict(enumerate("abc"))
    )
    return AlexNetTransformerForImageClassification(config)


@pytest.mark.parametrize(
    ("accuracy", "loss", "best"),
    [
        ([0.5, 0.9, 0.8], [1.0, 2.0, 0.1], 1),
        ([0.9, 0.9, 0.8], [0.7, 0.5, 0.1], 1),
        ([0.9, 0.9, 0.9], [0.5, 0.7, 0.5], 0),
        ([], [], None),
    ],
    ids=["most accurate", "of lowest loss among equals", "first among equals", "none yet"],
)
def test_the_best_epoch(accuracy: list[float], loss: list[float], best: int | None) -> None:
    assert Curves(validation_accuracy=accuracy, validation_loss=loss).best_epoch == best


def test_the_learning_rate_rises_to_its_highest_and_falls_to_zero() -> None:
    share = training_loop._lr_factor
    rising, falling = np.linspace(0, 0.05, 50, endpoint=False), np.linspace(0.05, 1, 50)
    assert (np.diff([share(x) for x in rising]) > 0).all()
    assert (np.diff([share(x) for x in falling]) < 0).all()
    assert 0 < share(0) < 0.05
    assert share(0.05) == 1
    assert share(0.05 + 0.95 / 2) == pytest.approx(0.5)
    assert share(1) == pytest.approx(0, abs=1e-12)


def test_only_matrices_and_kernels_decay(model: AlexNetTransformerForImageClassification) -> None:
    decaying, others = training_loop._optimizer(model, 0.3).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(parameter)] for parameter in decaying["params"]}
    assert len(decaying["params"]) + len(others["params"]) == len(names)
    assert found == {
        name for name in names.values() if name.endswith("weight") and "norm" not in name and "positions" not in name
    }


@pytest.mark.parametrize("batch_size", [2, 100])
def test_an_image_of_an_unknown_class_is_a_miss_without_a_loss(
    model: AlexNetTransformerForImageClassification, batch_size: int
) -> None:
    views = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    rows = np.array([6, 1, 2, 5, 0])
    with torch.no_grad():
        logits = model.eval()(pixel_values(torch.from_numpy(views[rows]))).logits
    predicted = logits.argmax(dim=1).numpy()
    targets = np.array([predicted[0], (predicted[1] + 1) % 3, predicted[2], UNKNOWN, predicted[4]])
    accuracy, loss = measure(model, Part(views, rows, targets), batch_size)
    known = [0, 1, 2, 4]
    expected = torch.nn.functional.cross_entropy(logits[known], torch.from_numpy(targets[known]))
    assert accuracy == pytest.approx(3 / 5)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    nothing = Part(views, rows, np.full(5, UNKNOWN))
    assert measure(model, nothing, batch_size) == (0, 0)
