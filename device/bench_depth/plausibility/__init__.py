"""Plausibility of datasets and of predicted depth, and the remedies of what is implausible."""
