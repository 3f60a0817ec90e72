"""`python -P -m scheduler.cli` is `headrace`."""

from scheduler.cli.entry import main

if __name__ == "__main__":
    main()
