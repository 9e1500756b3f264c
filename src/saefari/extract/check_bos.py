"""Check that texts begin as those the SAEs learned from, once these are loaded and before the first forward pass."""

from __future__ import annotations

from saefari.errors import SaeError
from saefari.extract.job import ExtractJob
from saefari.extract.sae_bank import SaeBank, refs_by_layer
from saefari.models.forward import Model
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import bos_change
from saefari.saes.prepend_bos import disagreement
from saefari.store import read_samples_record


def check_bos(job: ExtractJob, bank: SaeBank, model: Model) -> None:
    """Raise SaeError where the metadata of the SAEs, which the plan could not read, disagree or ask for other texts."""
    if not job.bos_unsettled or not isinstance(model, TextModel):
        return
    given = refs_by_layer([cell for cell in job.cells if not cell.trained])
    said = {ref: bank.load(ref).sae.cfg.metadata.prepend_bos for ref in given}
    if message := disagreement(said):
        raise SaeError(message)
    stored = (read_samples_record(job.samples) or {}).get("settings", {}).get("prepend_bos")
    tokenizer = model.tokenizer.tokenizer
    for ref, wanted in said.items():
        if wanted is None or (wanted and tokenizer.bos_token_id is None):
            continue
        if bos_change(tokenizer, wanted) != stored:
            raise SaeError(
                f"{ref.title} was trained {'with' if wanted else 'without'} BOS before every text, and the texts that "
                f"are stored are read otherwise: say add_bos: {str(wanted).lower()} for this model and add --overwrite"
            )
