"""Where the systems lie that come with Headrace."""

from pathlib import Path

import worker.connectors.connector as _beside

CATALOG = Path(_beside.__file__).with_name("catalog")
