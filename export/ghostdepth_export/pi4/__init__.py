"""A Raspberry Pi 4 without one: emulated, its instructions counted, its latency predicted."""
