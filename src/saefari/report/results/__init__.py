"""Results of classifiers: summary.csv, the table of a run, figures, transfer."""
