"""What brings models and programs to a Raspberry Pi."""
