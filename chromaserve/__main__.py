"""`python -m chromaserve`: the command."""

from chromaserve.command_line.main import main

main()
