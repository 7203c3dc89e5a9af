"""The records that flow from request to answer: plain data that reads back from its own JSON."""
