"""What people read: the HTML page, the figures, the summary at the end of a run."""
