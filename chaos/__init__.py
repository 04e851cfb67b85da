"""Kills, freezes, deceives and overloads the real service, and checks its record: ``make chaos``, ``make soak``."""
