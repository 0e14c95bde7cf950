"""Cross-validation of any objective's candidates: trials, searches, and what runs them."""
