"""The second stage: the best candidates of a ranking model, in an order learned from held-out ratings."""
