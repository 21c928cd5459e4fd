"""The training loop and the metrics of a training."""
