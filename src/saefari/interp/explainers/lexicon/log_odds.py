"""Log-odds ratios with an informative Dirichlet prior.

Monroe, Colaresi and Quinn (2008), "Fightin' Words: Lexical Feature Selection and Evaluation for Identifying the Content
of Political Conflict", Political Analysis 16(4), equations 16, 18, 19 and 22.
"""

from __future__ import annotations

import math

PRIOR = 20.0
"""Size of the prior, in counts. A latent has about 40 contexts."""


def log_odds(count: float, total: float, background: float, background_total: float) -> tuple[float, float]:
    """Return (log-odds ratio, z-score) of a term in a small sample against the background.

    count of total: the term in the sample. background of background_total: in the background, whose frequencies are
    also the prior. The counts may be weighted. background_total > background > 0, total >= count >= 0.
    """
    prior = PRIOR * background / background_total
    inside, rest = count + prior, total - count + PRIOR - prior
    outside, others = background + prior, background_total - background + PRIOR - prior
    ratio = math.log(inside / rest) - math.log(outside / others)
    return ratio, ratio / math.sqrt(1 / inside + 1 / outside)
