"""`python -m expressionist` is the command line, too."""

from expressionist.commands import run

if __name__ == "__main__":
    run()
