"""How the service runs on Ray Serve: thin deployments around ``app``."""
