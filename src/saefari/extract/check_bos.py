"""Check that stored texts have BOS if and only if the SAEs were trained with it, before the first forward pass."""

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
    """Raise SaeError if `prepend_bos` differs between SAEs or from the stored texts, where the plan could not tell."""
    if not job.bos_unknown or not isinstance(model, TextModel):
        return
    pretrained = refs_by_layer([cell for cell in job.cells if not cell.trained])
    prepend_bos = {ref: bank.load(ref).sae.cfg.metadata.prepend_bos for ref in pretrained}
    if message := disagreement(prepend_bos):
        raise SaeError(message)
    stored = (read_samples_record(job.samples) or {}).get("settings", {}).get("prepend_bos")
    tokenizer = model.tokenizer.tokenizer
    for ref, wanted in prepend_bos.items():
        if wanted is None or (wanted and tokenizer.bos_token_id is None):
            continue
        if bos_change(tokenizer, wanted) != stored:
            raise SaeError(
                f"{ref.title} was trained {'with' if wanted else 'without'} BOS before every text, but the stored "
                f"texts differ: set add_bos: {str(wanted).lower()} for this model and add --overwrite"
            )
