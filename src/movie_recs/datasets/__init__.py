"""Catalog datasets that kedro-datasets does not have."""
