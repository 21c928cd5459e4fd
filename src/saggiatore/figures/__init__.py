"""One figure a file: tables in, a matplotlib Figure out, no computation."""
