"""`python -m deploy` is `slimdeploy`."""

from deploy.cli.program import main

main()
