"""`python -m modelkeep` and the console script: the command line."""

from modelkeep.cli import main as cli_main


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    cli_main.modelkeep(prog_name="modelkeep")


if __name__ == "__main__":
    main()
