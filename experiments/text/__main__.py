"""python -m experiments.text models | rank | page."""

import sys

from experiments.text import models, page, rank

COMMANDS = {
    "models": lambda: print(*models.addresses().values(), sep="\n"),
    "rank": rank.main,
    "page": page.main,
}


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m experiments.text {' | '.join(COMMANDS)}")
    COMMANDS[sys.argv[1]]()


if __name__ == "__main__":
    main()
