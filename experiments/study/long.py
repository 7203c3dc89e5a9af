"""Draws what is trained with the long budget too: python -m experiments.study.long.

It writes long.jsonl for long.toml: the first target of each data set in design.jsonl, at the size
nearest to 200, with up to four of the sources that it has there, but for the dear ones.
"""

import json
from typing import Any

from experiments.study.design import HERE, seconds

SIZE = 200
MOST_SECONDS = 15  # of an arm, with the short budget
MOST_SOURCES = 4


def draw(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line of the design for each data set, cut down to one size and to sources that are cheap.

    A target that is left with fewer than three sources gives way to the next of its data set.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        size = min({size for _, size, _ in line["pairs"]}, key=lambda each: abs(each - SIZE))
        pairs = [
            [source, size, seeds[:1]]
            for source, other, seeds in line["pairs"]
            if other == size and seconds(source) <= MOST_SECONDS
        ]
        if len(pairs) > 2:
            found.setdefault(line["dataset"], {**line, "pairs": pairs[:MOST_SOURCES]})
    return list(found.values())


def main() -> None:
    text = (HERE / "design.jsonl").read_text(encoding="utf-8")
    drawn = draw([json.loads(line) for line in text.splitlines()])
    (HERE / "long.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in drawn), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
