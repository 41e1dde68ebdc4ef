"""Readings: samples taken, proofs held against them, verdicts spoken. MEASURING's rules live here and nowhere else."""
