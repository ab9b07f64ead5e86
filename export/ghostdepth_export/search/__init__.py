"""Searches for networks that are accurate within a budget of milliseconds."""

from ghostdepth_export.search.space import SearchSpace, load_space
from ghostdepth_export.search.study import StudyPlan, Worker, open_study

__all__ = ["SearchSpace", "StudyPlan", "Worker", "load_space", "open_study"]
