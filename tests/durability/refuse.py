"""Open files from outside under watch, in a process of its own.

An audit hook cannot be taken off again, hence the process.

Arguments are a pipe's path, the shim or "", and a JSON file with names and paths. For each file it
prints a line of JSON: what was said, how long it took, what this process opened, and what the
reading process tried to open after it had given up the right to.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

from featalign.embeddings import foreign
from featalign.errors import FeatalignError

WATCHED = ("open", "os.", "socket.", "subprocess.", "ctypes.", "shutil.", "urllib.")
PRELUDE = """
import os, sys
_log = os.open({pipe!r}, os.O_WRONLY | os.O_NONBLOCK)
_armed = []
def _watch(event, arguments):
    if event == "resource.setrlimit" and arguments[0] == __import__("resource").RLIMIT_NOFILE:
        _armed.append(1)
    elif _armed and event.startswith({watched!r}):
        os.write(_log, ("audit " + event + " " + repr(arguments)[:200] + "\\n").encode())
sys.addaudithook(_watch)
"""


def main() -> None:
    """Open every file and say what happened."""
    pipe, shim, listed = sys.argv[1:]
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command, environment = foreign._command, foreign._environment

    def watched_command(request):
        head, program, *rest = (*command(request)[:3],), *command(request)[3:]
        return [*head, PRELUDE.format(pipe=pipe, watched=WATCHED) + program, *rest]

    foreign._command = watched_command
    foreign._environment = lambda: {
        **environment(),
        **({"LD_PRELOAD": shim, "SHIM_OPENS": pipe} if shim else {}),
    }
    watching: list[str] = []
    armed = False

    def watch(event, arguments):
        if armed and event in ("open", "os.listdir", "os.scandir"):
            watching.append(str(arguments[0]))

    sys.addaudithook(watch)
    for name, path in json.loads(Path(listed).read_text()).items():
        watching.clear()
        armed, said, start = True, "", time.monotonic()
        try:
            with foreign.open_foreign(Path(path)) as found:
                for _ in found.blocks:
                    pass
        except FeatalignError as error:
            said = str(error)
        armed, seconds = False, time.monotonic() - start
        tried = b""
        while piece := os.read(reading, 1 << 16):
            tried += piece
        record = {
            "name": name,
            "said": said,
            "seconds": seconds,
            "opened": list(watching),
            "tried": tried.decode(errors="replace").splitlines(),
        }
        print(
            json.dumps(
                record | {"peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
