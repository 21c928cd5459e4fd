"""What is learned: the columns, the target and the loss, one task a file."""
