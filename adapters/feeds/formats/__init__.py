"""Import formats, one vendor's layout a file."""
