"""The Invoke entry point: puts the collections of deploy/cli together and nothing else."""

from deploy.cli.program import namespace

ns = namespace()
