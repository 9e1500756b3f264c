"""From a configuration to a plan, from a plan to jobs, from jobs to stored results."""
