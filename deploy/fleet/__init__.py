"""Fleets: which hosts there are, and how a rollout goes over them in waves; not what is done to one host."""
