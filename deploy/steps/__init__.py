"""The verbs of a deployment, one a file, each with the same small face (`face.py`). The order is `deploy/pipeline.py`'s."""
