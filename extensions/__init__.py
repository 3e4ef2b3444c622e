"""The tables and decisions behind the template. `torch_index.py` is what Copier loads."""
