"""Why a text was classified so: shown by Samples, Try it and Run."""
