"""What is known of a source on a target before it is trained: scores, random twins, gradients, short runs. Here the world meets the numbers."""
