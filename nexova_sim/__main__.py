"""``python -m nexova_sim`` is ``nexova``."""

from nexova_sim.cli.app import main

if __name__ == "__main__":
    main()
