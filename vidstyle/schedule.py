"""Numbers over time."""

from __future__ import annotations


def ramp(first: float, last: float, count: int) -> tuple[float, ...]:
    """`count` evenly spaced numbers from `first` to `last`, both included."""
    return tuple(first + (last - first) * step / max(count - 1, 1) for step in range(count))


def there_and_back(count: int) -> tuple[int, ...]:
    """The order 0, 1, … count-1, … 1 in which frames make a loop without a seam: neither end is shown twice."""
    return (*range(count), *range(count - 2, 0, -1))
