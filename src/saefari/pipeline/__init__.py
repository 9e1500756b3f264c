"""From conf.yaml to finished results: planning, jobs and the command line."""
