"""The latency of a model: the timing loop, its statistics, and the time of each op."""
