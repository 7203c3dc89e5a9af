"""`python -m featalign`: the same as the command `featalign`."""

from featalign.cli import main

main()
