"""`python -m bench_depth`: the same as the `bench-depth` command."""

import sys

from bench_depth.cli import main

if __name__ == "__main__":
    sys.exit(main())
