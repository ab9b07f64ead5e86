"""How good the depth of a model is on a dataset."""
