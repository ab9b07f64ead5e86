"""`python -m bench_depth`: the same as the `bench-depth` command."""

import sys

from bench_depth.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
