"""Results of classifiers: summary.csv, the table at the end of a run, figures, transfer.csv."""
