"""The input and output of a model, from its file or a description; the runtimes."""
