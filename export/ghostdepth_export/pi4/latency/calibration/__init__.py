"""Measurements on one board, from results files of bench-depth, to coefficients of that board."""
