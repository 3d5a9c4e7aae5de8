"""`python -m haechi.provider alicloud`: the program behind terraform-provider-alicloud and -random."""

import os
import sys


def main(name: str) -> int:
    """Serve the named provider to terraform."""
    from haechi.provider.plugin import serve

    if name == "alicloud":
        from haechi.provider.alicloud import PROVIDER
    elif name == "random":
        from haechi.provider.random import PROVIDER
    else:
        print(f"no such provider: {name}; there are alicloud and random", file=sys.stderr)
        return 1
    return serve(PROVIDER)


if __name__ == "__main__":
    code = main(sys.argv[1] if len(sys.argv) > 1 else "")
    sys.stdout.flush()
    # grpc's threads make a regular interpreter exit slow.
    os._exit(code)
