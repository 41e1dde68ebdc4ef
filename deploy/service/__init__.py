"""Service managers, one a file, each with the same small face: scripts to switch, start, stop and restart a gateway."""
