"""The machine: its description and state, and the process that guards against crashes."""
