"""Say what closing all positions would do; with --yes, do it.

    python examples/flatten.py --scope market:crypto --yes

Exit codes: 0 done, 1 refused or unknown, 3 no engine answers.
"""

import argparse
import sys

from mmats.client import Client, ClientError, EngineUnreachable, Outcome


def main() -> int:
    parser = argparse.ArgumentParser(description="Cancel orders and close positions.")
    parser.add_argument("--scope", default="all", help="all, market:, strategy: or symbol:NAME")
    parser.add_argument("--yes", action="store_true", help="do it; otherwise only say what")
    parser.add_argument("--profile", default="paper", help="dev, paper or live")
    args = parser.parse_args()
    try:
        with Client.connect(args.profile, role="trader") as client:
            reply = client.flatten(args.scope, reason="script", dry_run=not args.yes)
            if reply.outcome is Outcome.UNKNOWN:
                # No reply in time. The same id is executed at most once: ask again.
                reply = client.retry(reply)
            print(reply.raise_for_outcome().body)
    except ClientError as error:
        # Without a link the error says how to stop trading all the same.
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, EngineUnreachable) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
