"""`python -m flowfast`."""

from flowfast.cli import main

main()
