"""A page about a measurement: one file, opened from disk, readable on a phone."""

from bench_depth.report.page import render, write_page
from bench_depth.report.pictures import Picture, WorstPictures

__all__ = ["Picture", "WorstPictures", "render", "write_page"]
