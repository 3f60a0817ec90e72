"""Write the conformance reports into the READMEs of the catalogue, or of the systems that are named: `make conformance`."""

import sys

from connectors.conformance.test_catalogue import report
from connectors.doubles.found import CATALOG, PLAYED

from scheduler.connectors.check.report import embedded

if __name__ == "__main__":
    for system in sys.argv[1:] or PLAYED:
        readme = CATALOG / system / "README.md"
        text = readme.read_text(encoding="utf-8") if readme.exists() else f"# {system}\n"
        readme.write_text(embedded(text, report(system).markdown()), encoding="utf-8")
