"""The jobs, which find out what is known of a source on a target.

They gather scores, random twins, gradients and short runs. Here models and data meet the numbers.
"""
