"""When Python's garbage collector runs in a process that holds many unfinished jobs."""

DISPATCHING = (700, 10, 100)
"""All objects, those of every unfinished job among them, are walked a tenth as often as usual: under overload the walk
held up the event loop for 70 to 150 ms every 6 s, and found no garbage."""
