"""What is asked of a board, as values: POSIX sh text, quoted in one place, and the parsers of what comes back."""
