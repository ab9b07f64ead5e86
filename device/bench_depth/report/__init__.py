"""A page about a measurement: one file, opened from disk, readable on a phone."""

from bench_depth.report.page import render, write_page
from bench_depth.report.pictures import Picture, worst_pictures

__all__ = ["Picture", "render", "worst_pictures", "write_page"]
