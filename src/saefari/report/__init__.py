"""Stage 4: tables, figures and reports, made from stored results."""
