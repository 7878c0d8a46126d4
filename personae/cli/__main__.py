"""`python -m personae.cli`, the same as the console script `personae`."""

from personae.cli import main

main()
