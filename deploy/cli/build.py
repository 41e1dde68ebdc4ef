"""`build`: the artifact alone, without a board."""
