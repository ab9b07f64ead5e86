"""One ssh connection to one Raspberry Pi, and what goes wrong with it."""
