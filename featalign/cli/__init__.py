"""The shell: arguments to api calls, one file a verb.

Heavy modules are loaded inside the commands, so that --help is quick.
"""

from featalign.cli.app import main

__all__ = ["main"]
