"""What is known of a source on a target before it is trained.

That is scores, random twins, gradients and short runs. Here the world meets the numbers.
"""
