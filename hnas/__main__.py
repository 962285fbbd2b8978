"""`python -m hnas`: the command line, for a Python whose scripts are not on the PATH."""

from hnas.cli.main import main

if __name__ == "__main__":
    main()
