"""`python -m modelkeep` and the console script: the command line."""

import os

from modelkeep.cli import main as cli_main


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    # gRPC writes lines of its own about each handshake; what they mean stands in our errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    cli_main.modelkeep(prog_name="modelkeep")


if __name__ == "__main__":
    main()
