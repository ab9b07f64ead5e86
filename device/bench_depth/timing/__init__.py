"""How fast a model is: the measuring loop, its statistics, and the time of each op."""
