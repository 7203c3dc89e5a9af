"""The process that is killed.

A server that has loaded everything forks one child for each piece of work.

A request is a line of JSON on standard input, a list of jobs to run at once; the answer is a line
with, for each, its exit status (negative: the signal) and what it printed. A job with `kill_after`
gets SIGKILL after so many seconds. A child ends as any Python program does, libraries' own clean-up
included.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from featalign.cli.app import in_sentences, main
from featalign.embeddings import manifest as manifest_module
from featalign.embeddings import writer as writer_module
from featalign.embeddings.exchange import export_embedding
from featalign.embeddings.maintenance import remove
from featalign.embeddings.store import Store
from tests.durability.workload import work

ACTIONS = {"nothing": 0, "kill before": 1, "kill amid": 2, "fail": 3}


def serve() -> dict[str, Any] | None:
    """Answer requests; in a child, return its job."""
    for line in sys.stdin:
        go, start = os.pipe()
        children = []
        jobs = json.loads(line)
        for job in jobs:
            output, printed = (
                os.pipe()
            )  # a pipe has no size that a limit could forbid; what is printed fits into it
            child = os.fork()
            if child == 0:
                os.close(start)
                os.read(go, 1)  # until all of them are there
                os.close(output)
                os.dup2(printed, 1)
                os.dup2(printed, 2)
                return job
            os.close(printed)
            children.append((child, output))
        os.close(go)
        os.close(start)
        began = time.monotonic()
        for seconds, child in sorted(
            (job["kill_after"], child)
            for job, (child, _) in zip(jobs, children, strict=True)
            if "kill_after" in job
        ):
            time.sleep(max(began + seconds - time.monotonic(), 0))
            os.kill(child, signal.SIGKILL)  # not waited for yet, so the number is still its own
        answers = []
        for child, output in children:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answers.append({"status": status, "output": os.read(output, 1 << 20).decode()})
            os.close(output)
        print(json.dumps(answers), flush=True)
    return None


def embed(job: dict[str, Any]) -> None:
    """The program's own command line, with small shards, saying which ones it has committed."""
    manifest_module.SHARD_ROWS = job["shard_rows"]
    commit_shard = writer_module.commit_shard

    def committing(folder, manifest, index, shard):
        winner = commit_shard(folder, manifest, index, shard)
        os.write(1, f"acknowledged {folder.name}/{manifest.shard_name(index)}\n".encode())
        return winner

    writer_module.commit_shard = committing
    sys.argv = ["featalign", *job["arguments"]]
    main()


def perform(job: dict[str, Any]) -> None:
    """Arm the shim or set the limit, then work."""
    root = Path(job["root"])
    shim = ctypes.CDLL(None) if hasattr(ctypes.CDLL(None), "shim_arm") else None
    log = (
        os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if job.get("log") else -1
    )
    if shim is not None:
        shim.shim_arm(
            os.fsencode(job.get("watched", root)),
            ctypes.c_long(job.get("at", 0)),
            ACTIONS[job.get("action", "nothing")],
            job.get("errno", 0),
            ctypes.c_long(job.get("budget", -1)),
            job.get("no_links", 0),
            log,
        )
    if "largest_file" in job:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], job["largest_file"]))

    def report(index: int) -> None:
        if log >= 0 and shim is not None:
            shim.shim_note(f"{index}".encode())
        os.write(1, f"acknowledged {index}\n".encode())

    with in_sentences():
        if job["work"] == "extract":
            embedding = work(
                root, job["seed"], report, noise=job.get("noise", 0.0), delay=job.get("delay", 0.0)
            )
            if log >= 0:  # what was found counts as kept, too
                for index in range(embedding.manifest.num_shards):
                    report(index)
        elif job["work"] == "export":
            (key,) = Store(root).keys()
            embedding = Store(root).open(key)
            assert embedding is not None
            export_embedding(embedding, job["path"], overwrite=True)
            report(0)
        elif job["work"] == "remove":
            remove(Store(root), source="*")
            report(0)
    if shim is not None and not job.get("quiet"):
        os.write(1, f"calls {shim.shim_calls()}\n".encode())


if __name__ == "__main__":
    for module in sys.argv[1:]:  # load it once, for all children
        importlib.import_module(module)
    given = serve()
    if given is not None:
        (embed if given["work"] == "embed" else perform)(given)
