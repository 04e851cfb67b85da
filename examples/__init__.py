"""Kernels beside Fibonacci: each is one package, which ``serve_config.yaml`` may name. Not in the wheel."""
