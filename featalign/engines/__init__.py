"""Where jobs run: each engine maps jobs to what they give."""
