"""Runs the Python blocks of one part of the README against a running Slipway, as they stand but for the ports.

    python test/clients/readme_snippets.py Triton --http 127.0.0.1:8080 --grpc 127.0.0.1:9000
"""

import pathlib
import re
import subprocess
import sys

from checks import addresses, run

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def blocks(part):
    """The Python blocks below the heading "### part"."""
    text = README.read_text(encoding="utf-8")
    match = re.search(rf"^### {re.escape(part)}$(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^```python\n(.*?)^```$", match[1], re.MULTILINE | re.DOTALL) if match else []
    if not found:
        sys.exit(f"README.md has no Python block below '### {part}'")
    return found


def check_of(part, number, block, http, grpc):
    def check():
        program = block.replace("localhost:8080", http).replace("localhost:9000", grpc)
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stdout.strip(), "it printed nothing"

    check.__name__ = f"README: {part}, block {number}"
    return check


if __name__ == "__main__":
    part = sys.argv.pop(1)
    http, grpc = addresses(__doc__)
    run([check_of(part, number, block, http, grpc) for number, block in enumerate(blocks(part), 1)])
