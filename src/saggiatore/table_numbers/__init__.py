"""The numbers that each table of results has to tell: name, value, error, unit and meaning."""
