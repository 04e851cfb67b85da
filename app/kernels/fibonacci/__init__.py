"""Fibonacci sequences: every term is generated, one addition each, and the end of every segment checked."""

from app.kernel import Kernel
from app.kernels.fibonacci.models import FibonacciAnswer, FibonacciLimits, fibonacci_request, new_task

KERNEL = Kernel(
    name="fibonacci",
    unit="terms",
    summary="Generates the sequences, checks the end of every segment, and says where the time went.",
    limits=FibonacciLimits,
    request=fibonacci_request,
    task=new_task,
    answer=FibonacciAnswer,
    prefix="",  # it was here first
)
