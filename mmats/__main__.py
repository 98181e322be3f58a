"""`python -m mmats` is `mmats`."""

from mmats.cli.main import main

main(prog_name="mmats")
