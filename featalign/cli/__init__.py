"""The shell, which turns arguments into calls of the api, with one file for each verb.

Heavy modules are loaded inside the commands, so that --help is quick.
"""

from featalign.cli.app import main

__all__ = ["main"]
