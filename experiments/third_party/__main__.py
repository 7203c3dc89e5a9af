"""python -m experiments.third_party check | rank | page."""

import sys

from experiments.third_party import check, page, rank

COMMANDS = {"check": check.main, "rank": rank.main, "page": page.main}


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m experiments.third_party {' | '.join(COMMANDS)}")
    COMMANDS[sys.argv[1]]()


if __name__ == "__main__":
    main()
