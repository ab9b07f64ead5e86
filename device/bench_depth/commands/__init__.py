"""The `bench-depth` command line: options, verbs, exit codes."""
