"""A Bayesian factorisation with side information, whose posterior is found without sampling."""
