"""The report that compares trained SAEs: tables and figures."""
