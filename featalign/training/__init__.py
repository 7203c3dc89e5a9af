"""How an arm is really trained."""
