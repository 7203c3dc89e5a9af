"""Answers, kept beside their embedding, so that what was scored once is read the next time.

A file is immutable and named by its digest, which is also its first line. A damaged file counts as
missing. A file is removed with the folder of its embedding.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from featalign.embeddings.durable import commit, is_plain_folder
from featalign.embeddings.key import KEY_LENGTH, canonical_json
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from featalign.records.answer import Answer
from featalign.records.plain import from_plain, to_plain

SUFFIX = ".answer"
Settings = Mapping[str, str | int | bool]  # all that the numbers depend on beside the features


def read_answer(store: Store, key: str, settings: Settings) -> Answer:
    """What is known of an embedding under these settings; empty where nothing is."""
    folder, found = store.root / key, Answer()
    if not is_plain_folder(folder):
        return found
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        stated = _read(path)
        if stated is not None and stated.get("settings") == dict(settings):
            try:
                found = found.joined(from_plain(Answer, stated.get("answer")))
            except FeatalignError:  # the answer is of another version
                continue
    return found


def keep_answer(store: Store, key: str, settings: Settings, answer: Answer) -> None:
    """Keep an answer; raises FeatalignError when the disk refuses."""
    content = {"settings": dict(settings), "answer": to_plain(answer)}
    text = canonical_json(content).encode()
    digest = hashlib.sha256(text).hexdigest()
    path = store.root / key / f"{digest[:KEY_LENGTH]}{SUFFIX}"
    commit(path, [digest.encode(), b"\n", text], is_valid=lambda: _read(path) is not None)


def _read(path: Path) -> dict | None:
    """The content of a file, or None where it is missing or damaged."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(text).hexdigest().encode() != digest:
        return None
    stated = json.loads(text)
    return stated if isinstance(stated, dict) else None
