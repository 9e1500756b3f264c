"""Labels of points do not overlap."""

from __future__ import annotations

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from saefari.report.saes.point_labels import PointLabel, label_points


def test_labels_do_not_overlap_and_the_first_are_drawn() -> None:
    figure = Figure(figsize=(4, 3))
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = [(0.5 + 0.01 * i, 0.5 + 0.007 * (i % 3)) for i in range(20)]
    axes.plot(*zip(*points, strict=True), "o")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    label_points(axes, [PointLabel(x, y, f"name {i}", "#0072B2") for i, (x, y) in enumerate(points)], points)
    renderer = canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert 2 <= len(boxes) < 20
    assert axes.texts[0].get_text() == "name 0"
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.contains(*axes.transData.transform(point)) for box in boxes for point in points)
