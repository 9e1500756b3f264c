"""Read what a run left: results, the latents behind a classifier, its mistakes, codes, and new texts.

Run `make run` first, then this file with the Python of its environment, as a script or cell by cell in an editor that
knows `# %%` cells. An argument names another output tree: `python examples/python/read_results.py output`.
"""

# %% Open the output tree
import sys

import saefari

output = sys.argv[1] if len(sys.argv) > 1 else "output"
tree = saefari.open_tree(output)

# %% Every result, as a pandas DataFrame with one row per setting and classifier
results = tree.results()
columns = ["source", "layer", "width", "pooling", "top_n", "classifier", "cv_macro_f1", "macro_f1"]
print(results[columns].sort_values("cv_macro_f1", ascending=False).to_string(index=False))

# %% The best linear probe on SAE features, and the best of each baseline; cross-validation chooses, not the test score
best = tree.best(source="sae", classifier="linear")
low, high = best.metrics["macro_f1_low"], best.metrics["macro_f1_high"]
print(f"sae: macro-F1 {best.metrics['macro_f1']:.3f}, 95% interval {low:.3f}-{high:.3f}, from {best.folder.name}")
for source in ("tfidf", "hidden", "majority"):
    print(f"{source}: macro-F1 {tree.best(source=source).metrics['macro_f1']:.3f}")

# %% The latents that weigh most, five for each class
print(best.top_latents(5))

# %% The most confident mistakes on the test rows
predictions = best.predictions()
predictions["probability"] = predictions.filter(like="probability:").max(axis="columns")
mistakes = predictions.query("label != predicted").nlargest(3, "probability")
table = mistakes[["label", "predicted", "probability"]].join(best.texts(mistakes.index).str.slice(stop=60))
print(table.to_string())

# %% Codes: which latents are active at each token of a row
row = int(predictions.index[0])
codes = best.codes(rows=[row])
print(f"{codes.matrix.shape[0]} positions x {codes.matrix.shape[1]} latents, {codes.matrix.nnz} active")
print(codes.positions.head())
print(codes.top_latents(row=row, position=0, n=5))

# %% Classify new texts through the stored model, SAE and classifier
texts = ["Return the eigenvalues and eigenvectors of a square matrix.", "Draw a line plot with a logarithmic axis."]
print(best.predict(texts).round(3).T)

# %% Figures: a notebook shows them; figure.savefig("confusion.png") writes one
figure = best.plot("confusion")
weights = best.plot("top_features")
