"""What an observable is called as a detector measures it. Imports nothing, since planning asks too."""


def detector_name(observable: str) -> str:
    """Column of an event table that holds the measured value."""
    return f"detector_{observable}"
