"""The tutorial's code that the service grew out of: lists, plain Python, then the same as Ray tasks."""


def generate_fibonacci(sequence_size: int) -> list[int]:
    """The first ``sequence_size`` terms, as the tutorial makes them: all of them, in a list."""
    fibonacci = []
    for i in range(sequence_size):
        if i < 2:
            fibonacci.append(i)
            continue
        fibonacci.append(fibonacci[i - 1] + fibonacci[i - 2])
    return fibonacci


def run_local(sequence_size: int, num_sequences: int) -> list[int]:
    """One sequence after another, in this process; returns their sizes."""
    return [len(generate_fibonacci(sequence_size)) for _ in range(num_sequences)]
