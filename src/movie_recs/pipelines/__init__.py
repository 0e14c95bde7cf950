"""One package a pipeline: `pipeline.py` wires, `nodes.py` adapts the library modules to the catalog."""
