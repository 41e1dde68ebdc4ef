"""Fleets: which hosts there are, and how a rollout goes over them in waves.

What is done to one host is `cli`'s and `pipeline`'s.
"""
