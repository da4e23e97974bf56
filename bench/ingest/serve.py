"""One server: `python -m bench.ingest.serve APPLICATION`, settings from the environment."""

import sys

from crossdock import config, process
from gateway import server

if __name__ == "__main__":
    process.die_with_parent()
    server.run(config.load(), application=sys.argv[1])
