"""The verbs of a deployment, one a file, each with the same small face (`face.py`). Their order is `pipeline.py`'s."""
