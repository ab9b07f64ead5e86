"""`python -m ghostdepth`: the same as the `ghostdepth` command."""

from ghostdepth.commands import main

if __name__ == "__main__":
    main()
