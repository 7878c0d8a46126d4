"""Whether the gateway in this container can answer: exit code 0 or 1, and a word on why.

Run as: python /usr/local/lib/personae/healthy.py [path]      (/readyz; /healthz asks only whether it lives)

For the container file's HEALTHCHECK. Kubernetes asks the gateway itself and needs none of this.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

ADDRESS = "http://127.0.0.1:8420"
SECONDS = 5.0


def main() -> int:
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    # No proxy: it is this container's own loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(ADDRESS + path, timeout=SECONDS) as response:
            print(response.read(200).decode("utf-8", "replace"))
            return 0
    except urllib.error.HTTPError as err:
        print(err.read(500).decode("utf-8", "replace"))
        return 1
    except OSError as err:
        print(f"nothing answers at {ADDRESS}: {err}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
