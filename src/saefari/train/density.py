"""Densities of latents, and detection of an ultra-low-density cluster separated by a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_BANDWIDTH = 0.2
"""In decades. Counts of 1 and 2 are 0.3 apart, which must not be mistaken for a gap."""
GRID_PER_BANDWIDTH = 20
"""Grid points per bandwidth of the density estimate."""
VALLEY = 0.5
"""A valley separates two clusters if it is at most this share of the lower peak …"""
STANDARD_ERRORS = 3.0
"""… and this many standard errors below it, so that a few stray latents are no cluster."""
UPPER_SHARE = 0.1
"""Minimum share of active latents above the gap; fewer are a small group of dense latents."""
KERNEL_ROUGHNESS = 1 / (2 * np.sqrt(np.pi))
"""Integral of the squared Gaussian kernel, which gives a density estimate's variance (Silverman 1986, 3.3)."""


@dataclass(frozen=True)
class LowDensityCluster:
    """The latents below the gap in the distribution of log10 densities (Bricken et al. 2023, ultra-low density)."""

    share: float
    """Share of all latents, including those never active."""
    gap: tuple[float, float] | None
    """log10 density of the cluster's densest latent and of the next one above; None without a gap."""

    def summary(self) -> dict[str, float | list[float] | None]:
        """Return share and gap, JSON-able."""
        return {"share": self.share, "gap": None if self.gap is None else list(self.gap)}


def find_cluster(log_density: np.ndarray) -> LowDensityCluster:
    """Find the ultra-low-density cluster among log10 densities [d_sae], using the finite ones.

    The smoothed distribution is cut at its deepest valley that satisfies the constants above. Only differences of log
    densities matter, not the number of positions.
    """
    active = np.sort(log_density[np.isfinite(log_density)].astype(np.float64))
    cut = _deepest_valley(active) if len(active) else None
    if cut is None:
        return LowDensityCluster(0.0, None)
    n_below = int(np.searchsorted(active, cut))
    return LowDensityCluster(n_below / len(log_density), (float(active[n_below - 1]), float(active[n_below])))


def _deepest_valley(values: np.ndarray) -> float | None:
    """Return the location of the deepest separating valley of sorted values; None if there is none."""
    from scipy.signal import find_peaks  # slow to import; needed only when training

    bandwidth = _bandwidth(values)
    grid, smooth = _smoothed(values, bandwidth)
    valleys, _ = find_peaks(-smooth)
    lower_peak = np.minimum(np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1])[valleys]
    bottom = smooth[valleys]
    # In latents per decade: the variance of n times the density estimate is n f R(K) / h.
    standard_error = np.sqrt(lower_peak * KERNEL_ROUGHNESS / bandwidth)
    above = len(values) - np.searchsorted(values, grid[valleys])
    separates = (bottom <= VALLEY * lower_peak) & (lower_peak - bottom >= STANDARD_ERRORS * standard_error)
    separates &= above >= UPPER_SHARE * len(values)
    if not separates.any():
        return None
    depth = np.where(separates, bottom / lower_peak, np.inf)
    return float(grid[valleys[np.argmin(depth)]])


def _bandwidth(values: np.ndarray) -> float:
    """Return Silverman's rule-of-thumb bandwidth in decades, at least `MIN_BANDWIDTH`."""
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(float(values.std()), float(quartiles[1] - quartiles[0]) / 1.34)
    return float(max(MIN_BANDWIDTH, 0.9 * spread * len(values) ** -0.2))


def _smoothed(values: np.ndarray, bandwidth: float) -> tuple[np.ndarray, np.ndarray]:
    """Return bin centres and a Gaussian kernel density estimate, in values per decade."""
    from scipy.ndimage import gaussian_filter1d

    step = bandwidth / GRID_PER_BANDWIDTH
    low = values[0] - 3 * bandwidth
    n_bins = int(np.ceil((values[-1] + 3 * bandwidth - low) / step))
    edges = low + step * np.arange(n_bins + 1)
    histogram = np.histogram(values, edges)[0] / step
    smooth = gaussian_filter1d(histogram, GRID_PER_BANDWIDTH, mode="constant", truncate=8.0)
    return edges[:-1] + step / 2, smooth
