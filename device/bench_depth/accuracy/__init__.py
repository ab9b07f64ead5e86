"""The accuracy of a model's depth on a dataset."""
