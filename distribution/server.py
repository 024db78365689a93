"""Entry of the .mcpb bundle: what the user chose in the client becomes the arguments of `lorgnette serve`."""

import sys


def arguments(chosen: list[str]) -> list[str]:
    """Return the command line; folders come one by one, and what was left empty comes empty or unfilled."""
    line = ["serve"]
    for text in chosen:
        flag, _, value = text.partition("=") if text.startswith("--") else ("--root", "", text)
        if value and not value.startswith("${"):
            line += [flag, value]
    return line


if __name__ == "__main__":
    from cli.main import main

    sys.argv[1:] = arguments(sys.argv[1:])
    main()
