"""Features are fate: the theory reproduced, and set against real networks.

It is asked what the theory says about distances, too.
"""
