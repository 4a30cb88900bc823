# noqa: INP001 - a script, not a package
"""Exit code 0 if the server's admin port says that it is ready: `healthcheck.py HOST:PORT`.

The admin port and not the API: that may want TLS, a name that fits and a certificate.
"""

import http.client
import sys

_TIMEOUT_S = 4


def main(endpoint: str) -> str | None:
    """Ask once; why it is not healthy, or None."""
    connection = http.client.HTTPConnection(endpoint, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{endpoint} does not answer: {error}"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else f"{endpoint} is not ready: {said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
