"""The Fibonacci service without Ray: kernel, cost model, dispatcher and HTTP API."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fibonacci-service")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
