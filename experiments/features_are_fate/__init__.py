"""Features are fate: the theory reproduced, and what it says about distances and about real networks."""
