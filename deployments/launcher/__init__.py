"""The launcher's parts: the service in a cluster of its own, from its addresses to its end."""
