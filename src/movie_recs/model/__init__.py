"""A model is data: its tables, scores, top-N lists, and users from their ratings."""
