"""How the weights that ship in featalign/sources/zoo_weights were trained."""
