"""Glossary of the terms in the app; the `?` button of each page shows the ones it uses."""

from __future__ import annotations

from saefari.names import INTERVAL_METHOD

GLOSSARY: dict[str, str] = {
    "hidden state": "The model's vector at one position, after one block (the residual stream).",
    "layer": "Layer L is the output of block L, counted from 0: Hugging Face's hidden_states[L + 1].",
    "SAE": "Sparse autoencoder: represents a hidden state as a sum of a few out of thousands of directions.",
    "latent": "One unit of an SAE. Its activation is 0 or more; most latents are 0 at most positions.",
    "code": "The latent activations of one position, nearly all of them 0.",
    "token": "The piece of text at one position: a word or a part of one.",
    "patch": "The part of an image at one position; rows and columns are counted from 0 at the top left.",
    "feature": "One input column of a classifier: a pooled latent, a hidden dimension or a term.",
    "pooling": "How the positions of a sample are combined into one row: sum, mean, max, last, or count (see top-n).",
    "top-n": "Keep the n largest latents per position, then count over positions. 0: pool all latents.",
    "binarize": "Feature = 1 where the pooled value is above the threshold, else 0.",
    "source": "The kind of features: sae, random_sae (random directions, same sparsity), hidden (pooled hidden "
    "states), tfidf (words, or words and character n-grams), pixels (of an image) or majority (always the most "
    "frequent class).",
    "baseline": "Features that an SAE should outperform: hidden states, TF-IDF, raw pixels, the majority class or a "
    "random SAE.",
    "macro-F1": "F1 is the harmonic mean of a class's precision and recall; macro-F1 is its mean over classes, so "
    "that rare classes count as much as frequent ones.",
    "macro precision": "The share of rows predicted as a class that belong to it; mean over classes.",
    "macro recall": "The share of a class's rows that are predicted as this class; mean over classes.",
    "CV accuracy": "Accuracy by cross-validation on the training rows.",
    "caution": "Why a score is not meaningful: the features include a text that reveals the class.",
    "CV macro-F1": "Macro-F1 by cross-validation on the training rows. Only this score selects the best setting: "
    "selecting by test score would be biased.",
    "interval": f"95% interval of macro-F1: {INTERVAL_METHOD} (results of older versions: percentile bootstrap); "
    "Wilson's interval for accuracy. Both describe the variation over test rows. If two intervals overlap, the "
    "difference may be due to chance.",
    "win rate": "The share of datasets on which the best SAE setting scores above the best setting of a baseline.",
    "accuracy": "The share of test rows that are classified correctly.",
    "ROC AUC": "How well a class's probability ranks its rows above other rows: 0.5 is chance, 1 is perfect.",
    "confusion matrix": "Rows are true classes, columns are predicted classes; off-diagonal cells are errors.",
    "weight": "The linear probe's coefficient of a feature, per standard deviation of that feature.",
    "contribution": "Weight × scaled value of a feature in one row. The contributions and the intercept sum to the "
    "class's logit.",
    "logit": "The linear probe's score of a class, before conversion to a probability.",
    "importance": "How much a tree's splits on a feature reduce the impurity; all importances sum to 1.",
    "decision tree": "A sequence of splits: is the feature at most the threshold? Yes goes left, no goes right.",
    "density": "The share of positions at which a latent is active.",
    "lift": "How often a latent fires in rows of a class, divided by how often it fires in all rows.",
    "decile": "One of ten equal groups of rows, ordered by a latent's activation from weakest to strongest.",
    "explanation": "A name and a sentence that describe a latent, based on where it fires; written by a program, a "
    "language model or a person. Pages show the name in place of the latent's number.",
    "score": "How well an explanation predicts where its latent fires. For most scores 0.5 is chance and 1 is perfect.",
    "controls": "The same score of explanations that cannot be right: those of other latents (shuffled), or of an SAE "
    "with random weights. A name whose score is not above its controls is grey: it may describe nothing.",
    "paired difference": "Macro-F1 of one result minus that of another on the same test rows, with a 95% interval from "
    "rows resampled together with both predictions. If the interval holds 0, the two are not clearly different.",
    "FVU": "Fraction of variance unexplained by the SAE's reconstruction: 0 is perfect, 1 is no better than the mean.",
    "explained variance": "1 − FVU. A value below 0 is worse than the mean; the usual reason is a wrong hook.",
    "held out": "Rows excluded from training, for an unbiased measurement.",
    "L0": "Mean number of active latents per position.",
    "dead": "A latent that was never active on the measured rows.",
    "MSE": "Mean squared error of the reconstruction, over positions and dimensions.",
    "L1": "Mean over positions of the sum of the latents' activations.",
    "dense": "A latent that is active at more than 10% of positions; it carries little information about each.",
    "cosine": "Mean cosine similarity between a hidden state and its reconstruction; 1 is the same direction.",
    "loss recovered": "How well a language model predicts the next token when the reconstruction replaces the hidden "
    "state: 1 equals the original hidden state, 0 equals zeros.",
    "ultra-low density": "Latents that fire far more rarely than the others, below a gap in the histogram of "
    "densities; most of them are not interpretable.",
    "Pareto front": "The SAEs for which no other SAE of the same model and layer is better in both L0 and FVU.",
    "decoder cosine": "Cosine similarity of two latents' decoder directions; near 1, their meanings are similar.",
    "manifest": "The record of a folder of shards: settings, finished shards and their SHA-256.",
    "shard": "A file that holds a fixed range of a dataset's rows.",
    "provenance": "How a result was created: settings, seed, versions and the fingerprint of its inputs.",
    "PCA": "The two directions of largest variance; distances on the map are approximate.",
}
