"""`python -m revpipe` is the `revpipe` command."""

from revpipe.cli import main

if __name__ == "__main__":
    main()
