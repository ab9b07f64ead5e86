"""What structured and unstructured pruning are made of; the methods are in `compress`."""
