"""`python -m nasbench`."""

import sys

from .cli import main

sys.exit(main())
