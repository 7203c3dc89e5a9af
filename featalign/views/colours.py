"""Colours and marks that colour-blind readers tell apart, and what they are called on a page.

They are those of Okabe and Ito (2008), darker where they would be faint on white. On a page each
stands for a variable of the style, so that a dark page has others.
"""

TRAINED, SCRATCH = "#0072b2", "#d55e00"
INK, FAINT, RULE = "#1a1b1c", "#5c5f63", "#8b8f94"
SERIES = (TRAINED, SCRATCH, "#008a65", "#b5548c", "#8a6d00", "#2a8fbd", "#6a51a3", "#5a6b00")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
OTHER = "#a0a4a7"  # whatever has no colour of its own
VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    RULE: "--rule",
    OTHER: "--other",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES, 1)},
}
