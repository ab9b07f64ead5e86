"""The networks: GhostNet, the other encoders, the depth network and the graph at the camera."""
