"""How each program here runs its checks: one line a check, status 1 when any failed."""

import argparse
import sys
import traceback


def addresses(description):
    """Where the server listens, from the arguments: its HTTP and its gRPC address, as host:port."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http", default="127.0.0.1:8080")
    parser.add_argument("--grpc", default="127.0.0.1:9000")
    options = parser.parse_args()
    return options.http, options.grpc


def run(checks):
    """Runs functions, each named as what it checks; `run.sh` counts the lines."""
    failed = 0
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            check()
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
