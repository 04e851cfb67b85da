"""Makes ``.venv``: ``python3 -m set_up``, for make. The standard library alone, since nothing else is there yet."""
