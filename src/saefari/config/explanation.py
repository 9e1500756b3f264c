"""The section `explain`: which latents are explained, from which contexts, by whom, and how explanations are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from saefari.config.section import Optional, Section, Text, as_list
from saefari.config.training import Corpus
from saefari.errors import shown

ExplainerName = Literal["lexical", "prompted", "contrastive", "neuronpedia", "human", "none"]
ScorerName = Literal["embedding", "detection", "fuzzing", "intruder", "simulation", "surprisal", "intervention"]
ControlName = Literal["shuffled", "random_sae"]
ClientKind = Literal["openai", "local", "vllm"]
HardInactive = Literal["random", "embedding", "cooccurrence", "decoder", "encoder"]

ASKS_A_MODEL: dict[str, tuple[str, ...]] = {
    "explainers": ("prompted", "contrastive"),
    "scorers": ("detection", "fuzzing", "intruder", "simulation", "surprisal"),
}
"""Explainers and scorers that need `client`."""


class UsedByClassifiers(Section):
    """Latents that classifiers use."""

    used_by_classifiers: Annotated[int, Field(ge=1)] = 50
    """The n most important latents of each result, over its classes and classifiers."""


class RandomLatents(Section):
    """A seeded random sample of latents."""

    random: Annotated[int, Field(ge=1)]
    """Number of latents per SAE, drawn among those with enough examples."""


def _latents(value: object) -> object:
    if value == "all":
        return value
    if isinstance(value, list):
        if not value or not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value):
            raise ValueError("a list of latents contains numbers from 0")
        if len(set(value)) != len(value):
            raise ValueError(f"contains a latent twice: {shown(value)}")
        return tuple(value)
    if isinstance(value, UsedByClassifiers | RandomLatents):
        return value
    if isinstance(value, dict) and len(value) == 1:
        for kind in (UsedByClassifiers, RandomLatents):
            if set(value) <= set(kind.model_fields):
                return kind.model_validate(value)
    raise ValueError("must be all, a list of numbers, {used_by_classifiers: n} or {random: n}")


class Sampling(Section):
    """The contexts of a latent: windows of tokens (or patches and the image around them)."""

    window: Annotated[int, Field(ge=2, le=1024)] = 32
    """Tokens per window."""
    centred: bool = True
    """`true`: the window is centred on the activation; `false`: rows are divided into fixed windows."""
    explain: Annotated[int, Field(ge=1)] = 40
    """Active contexts for the explainers."""
    explain_strategy: dict[Literal["top", "random", "quantiles"], Annotated[float, Field(gt=0)]] = {
        "top": 0.5,
        "quantiles": 0.5,
    }
    """How these are chosen, with relative shares: `top` (the strongest), `random`, `quantiles` (equally many of each
    tenth by activation)."""
    test: Annotated[int, Field(ge=2)] = 100
    """Active contexts for the scorers, equally many of each decile. No row is used for both."""
    inactive: Annotated[int, Field(ge=2)] = 100
    """Contexts for the scorers in which the latent is inactive."""
    inactive_kind: HardInactive = "random"
    """Which inactive contexts the scorers use. `random`; or hard ones: `embedding` (nearest to the active ones),
    `cooccurrence`, `decoder`, `encoder` (contexts of latents that are neighbours by co-occurrence or by cosine of the
    decoder or encoder directions)."""
    min_examples: Annotated[int, Field(ge=2)] = 200
    """Latents active in fewer rows are listed and not explained."""


class Client(Section):
    """The language model that writes and scores explanations."""

    kind: ClientKind = "openai"
    """`openai`: any endpoint with the OpenAI protocol (OpenRouter, a vLLM server, Ollama, llama.cpp); `local`: a
    transformers model; `vllm`: vLLM in this process (optional package)."""
    model: Text
    """Name of the model at the endpoint; for `local` and `vllm` a folder or hub id."""
    base_url: Optional = None
    """Address of the endpoint, such as `https://openrouter.ai/api/v1`. Required for `openai`."""
    key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = "OPENAI_API_KEY"
    """Environment variable that holds the key; the key itself is never written anywhere. `null`: no key."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 16
    """Requests at once."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60
    """Seconds until a request to an endpoint counts as failed."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts per request: with growing pauses after temporary errors; after an unusable answer with another seed and
    a temperature of at least 0.5."""
    max_tokens: Annotated[int, Field(ge=1)] = 1000
    """Maximum tokens per answer."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature."""
    log_probabilities: bool | None = None
    """Ask for the log-probabilities of answers, which make the scores of `detection` and `fuzzing` finer. Many
    endpoints refuse such requests. `null`: only for `local` and `vllm`."""
    price_in: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Price of a million prompt tokens, in dollars; for estimates, and for endpoints that report no cost."""
    price_out: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Price of a million answer tokens, in dollars."""
    max_cost: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """No request is sent that could exceed this sum, in dollars. Needs both prices."""

    @property
    def gives_log_probabilities(self) -> bool:
        """Whether requests ask for log-probabilities."""
        return self.kind != "openai" if self.log_probabilities is None else self.log_probabilities

    @model_validator(mode="after")
    def _check_kind(self) -> Client:
        if self.kind == "openai" and self.base_url is None:
            raise ValueError("base_url is required for kind: openai")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url {shown(self.base_url)} must begin with http:// or https://")
        if self.base_url is not None and any(mark in self.base_url for mark in "@?#"):
            raise ValueError("base_url must hold no user, password or query: a key is read from key_variable only")
        if self.max_cost is not None and (self.price_in is None or self.price_out is None):
            raise ValueError("max_cost needs price_in and price_out")
        return self


class Prompting(Section):
    """Options of the explainers that ask a language model."""

    chain_of_thought: bool = False
    """Ask for step-by-step reasoning before the explanation."""
    promoted_tokens: bool = False
    """Show the tokens whose logits the latent's decoder direction raises most (models with a language head)."""
    few_shot: bool = True
    """Show worked examples before the question."""


class ActivationCorpus(Corpus):
    """Texts to search for contexts, in packed contexts, other than the run's datasets."""

    context_size: Annotated[int, Field(ge=8)] = 256
    """Tokens per context, including special tokens."""
    n_tokens: Annotated[int, Field(ge=256)] = 10_000_000
    """Tokens to read."""


class Explain(Section):
    """Explanations of latents (stage 3). Without this section nothing is explained."""

    latents: Annotated[
        Literal["all"] | tuple[int, ...] | UsedByClassifiers | RandomLatents, BeforeValidator(_latents)
    ] = UsedByClassifiers()
    """Which latents: `{used_by_classifiers: n}` (the n most important of each result), a list of numbers, `all`, or
    `{random: n}`."""
    corpus: ActivationCorpus | None = None
    """Texts to search for contexts, other than the run's datasets. 10 million tokens are recommended for pretrained
    SAEs. `null`: the stored codes of the datasets' training rows, without another forward pass."""
    sampling: Sampling = Sampling()
    """Contexts of each latent."""
    explainers: Annotated[list[ExplainerName], Field(min_length=1), BeforeValidator(as_list)] = ["lexical"]
    """Who explains. The first that succeeds gives a latent its name; the others are stored as alternatives."""
    prompting: Prompting = Prompting()
    """Options of `prompted` and `contrastive`."""
    file: Optional = None
    """`human`: a CSV with the columns latent and text. `neuronpedia`: an exported JSON or JSONL file, or MOSAIC's
    cached explanations; without a file its API is asked."""
    scorers: Annotated[list[ScorerName], BeforeValidator(as_list)] = ["embedding"]
    """How explanations are scored."""
    controls: list[ControlName] = ["shuffled", "random_sae"]
    """Scores to compare with: `shuffled`, the explanation of another latent of similar density; `random_sae`, latents
    of an SAE with random weights, explained and scored in the same way."""
    client: Client | None = None
    """The language model for the explainers and scorers that ask one."""
    synthesise: bool = False
    """For image models: an image, made by gradient ascent, that activates one latent and leaves the others low."""

    @property
    def has_random_control(self) -> bool:
        """Whether latents of a random SAE are explained and scored for comparison."""
        return "random_sae" in self.controls and bool(self.scorers)

    @property
    def reads_stored_controls(self) -> bool:
        """Whether the run has to store codes of random SAEs."""
        return self.has_random_control and self.corpus is None

    @property
    def shows_promoted_tokens(self) -> bool:
        """Whether prompts name the tokens whose logits the latent's direction raises."""
        asks = any(name in ASKS_A_MODEL["explainers"] for name in self.explainers)
        return self.prompting.promoted_tokens and asks

    @model_validator(mode="after")
    def _check_client(self) -> Explain:
        wanted: list[str] = [name for name in self.explainers if name in ASKS_A_MODEL["explainers"]]
        wanted += [name for name in self.scorers if name in ASKS_A_MODEL["scorers"]]
        if wanted and self.client is None:
            raise ValueError(f"{', '.join(wanted)}: asks a language model; give explain.client")
        for key in ("explainers", "scorers", "controls"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} contains a value twice: {shown(values)}")
        if "human" in self.explainers and self.file is None:
            raise ValueError("explainer human: give explain.file, a CSV with the columns latent and text")
        return self
