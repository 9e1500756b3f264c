"""The words of the field, as this project uses them; every page's `?` shows those it needs."""

from __future__ import annotations

from saefari.names import INTERVAL_METHOD

GLOSSARY: dict[str, str] = {
    "hidden state": "The model's vector at one position, after one block (the residual stream).",
    "layer": "Layer L is the output of block L, counted from 0: Hugging Face's hidden_states[L + 1].",
    "SAE": "Sparse autoencoder: writes a hidden state as a sum of few directions out of thousands.",
    "latent": "One unit of an SAE. Its activation is 0 or more; most latents are 0 at most positions.",
    "code": "The latent activations of one position, nearly all of them 0.",
    "token": "A piece of text that the model reads at one position: a word or a part of one.",
    "patch": "A part of an image that the model reads at one position; rows and columns count from 0 at the top left.",
    "feature": "One column of what a classifier reads: a pooled latent, a hidden dimension or a term.",
    "pooling": "How the positions of a text become one row: sum, mean, max, last, or count (see top-n).",
    "top-n": "Per position keep the n largest latents, then count over positions. 0: all latents, pooled.",
    "binarize": "Feature = 1 where the pooled value is above the threshold, else 0.",
    "source": "What the features are: sae, random_sae (random directions, same sparsity), hidden (pooled hidden "
    "states), tfidf (words, or words and runs of characters), pixels (of an image) or majority (always the most "
    "frequent class).",
    "baseline": "What an SAE has to beat to be worth it: hidden states, TF-IDF, raw pixels, the majority class or a "
    "random SAE.",
    "macro-F1": "F1 is the harmonic mean of precision and recall of one class; macro-F1 is its mean over classes, so "
    "that rare classes count as much as frequent ones.",
    "macro precision": "Of the rows predicted to be of a class, the share that is; the mean over classes.",
    "macro recall": "Of the rows that are of a class, the share that is predicted so; the mean over classes.",
    "CV accuracy": "Accuracy by cross-validation on training rows alone.",
    "caution": "Why a score says little: the features saw a text from which the class follows.",
    "CV macro-F1": "Macro-F1 by cross-validation on training rows alone. It alone chooses what is best: the best of "
    "many test scores would be too good.",
    "interval": f"95% interval of macro-F1: {INTERVAL_METHOD} (results of older versions: percentile bootstrap); "
    "accuracy's is Wilson's. Both are about other test rows of the same kind. Where two overlap, the difference may be "
    "luck.",
    "win rate": "The share of datasets on which the best SAE setting scores above the best setting of a baseline.",
    "accuracy": "The share of test rows that are classified right.",
    "ROC AUC": "How well a class's probability ranks its rows above the others: 0.5 is chance, 1 is perfect.",
    "confusion matrix": "Rows are true classes, columns predicted ones; what lies off the diagonal is wrong.",
    "weight": "What the linear probe multiplies a feature by, per standard deviation of that feature.",
    "contribution": "Weight × scaled value of a feature in one row. With the intercept they add up to the class's "
    "logit.",
    "logit": "The linear probe's score of a class before it is turned into a probability.",
    "importance": "How much a tree's splits on a feature lower the impurity; all importances add up to 1.",
    "decision tree": "Questions asked one after the other: is this feature at most the threshold? Left is yes.",
    "density": "The share of positions at which a latent is active.",
    "lift": "How many times more often a latent fires in rows of a class than in all rows.",
    "decile": "Tenths of a latent's activations, from the weakest to the strongest.",
    "explanation": "What a person or a language model wrote about a latent after reading where it fires.",
    "score": "How well an explanation predicts where its latent fires.",
    "FVU": "Fraction of variance unexplained by the SAE's reconstruction: 0 is perfect, 1 is no better than the mean.",
    "explained variance": "1 − FVU. Below 0, the SAE is worse than the mean alone: mostly a wrong hook.",
    "held out": "Rows kept back from training, so that the figure does not flatter.",
    "L0": "Mean number of active latents per position.",
    "dead": "A latent that was never active on the rows looked at.",
    "MSE": "Mean squared error of the reconstruction, over positions and dimensions.",
    "L1": "Mean over positions of the sum of the latents' activations.",
    "dense": "A latent that is active at more than 10% of positions: it says little about any one of them.",
    "cosine": "Mean cosine between a hidden state and its reconstruction: 1 is the same direction.",
    "loss recovered": "How much of a language model's next-token prediction survives when the reconstruction takes the "
    "hidden state's place: 1 is as good as untouched, 0 as bad as zeros there.",
    "ultra-low density": "Latents that fire far more rarely than the others, and are set apart from them by a gap in "
    "the histogram of densities; most of them mean little.",
    "Pareto front": "The SAEs that no other of the same model and layer beats in both L0 and FVU.",
    "decoder cosine": "Cosine between the directions that two latents write: near 1, they mean much the same.",
    "manifest": "The record beside a folder of shards: what shaped them, which are done, and what they hash to.",
    "shard": "A file that holds a fixed range of a dataset's rows.",
    "provenance": "What made a result: settings, seed, versions and the fingerprint of its inputs.",
    "PCA": "The two directions in which the rows differ most; distances on the map are only roughly true.",
}
