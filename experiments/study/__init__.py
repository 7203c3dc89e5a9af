"""The ground truth: sources, targets, sizes and arms really trained."""
