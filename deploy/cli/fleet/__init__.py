"""The commands over a fleet, one file a verb; what is done to one member is `deeds.py`'s."""
