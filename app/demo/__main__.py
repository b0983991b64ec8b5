"""Writes the demo catalogue into the folder that is named on the command line."""

import sys
from pathlib import Path

from app.demo import generate

if __name__ == "__main__":
    sys.stdout.write(f"{generate(Path(sys.argv[1]))}\n")
