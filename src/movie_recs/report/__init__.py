"""Results for readers: the HTML page, the figures, the summary at the end of a run."""
