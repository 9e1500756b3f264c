"""Turn a plan into jobs, run them on the executor, and report the outcome."""
