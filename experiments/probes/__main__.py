"""The linear probe beside scikit-learn on random inputs: python -m experiments.probes [COMMAND].

`reference` lets scikit-learn fit every penalty and fold (hours; resumable); `compare` fits the same
with featalign and writes results.json.
"""

import argparse

from experiments.probes import compare, reference


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.probes", description=__doc__)
    parser.add_argument("command", choices=["reference", "compare"])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("K", "OF"))
    arguments = parser.parse_args()
    if arguments.command == "reference":
        reference.gather(arguments.draws, share=tuple(arguments.share))
    else:
        compare.compare(arguments.draws, share=tuple(arguments.share))


if __name__ == "__main__":
    main()
