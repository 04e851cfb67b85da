"""Draws the Mandelbrot set: a cheap kernel with results of some size."""

from app.kernel import Kernel
from examples.mandelbrot.models import MandelbrotAnswer, MandelbrotLimits, mandelbrot_request, new_task

KERNEL = Kernel(
    name="mandelbrot",
    unit="rows",
    summary="Draws a part of the Mandelbrot set, and computes a pixel of each row once more with Python's integers.",
    limits=MandelbrotLimits,
    request=mandelbrot_request,
    task=new_task,
    answer=MandelbrotAnswer,
    prefix="Mandelbrot",
    large_answers=True,
)
