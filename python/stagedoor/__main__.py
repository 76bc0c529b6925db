"""``python -m stagedoor``."""

import sys

from stagedoor.cli import main

sys.exit(main())
