"""Enable a strategy and give it a limit.

    python examples/enable_and_limit.py trend daily_loss_max 1%

The limit comes first, so that the strategy never trades without it.
Exit codes: 0 done, 1 refused or unknown, 3 no engine answers.
"""

import argparse
import sys

from mmats.client import Client, ClientError, EngineUnreachable


def main() -> int:
    parser = argparse.ArgumentParser(description="Enable a strategy under a limit.")
    parser.add_argument("strategy", help="its name in the configuration")
    parser.add_argument("limit", help="such as daily_loss_max; see docs/risk.md")
    parser.add_argument("value", help='as in the configuration: 1%%, "50 EUR", 10/s')
    parser.add_argument("--profile", default="paper", help="dev, paper or live")
    args = parser.parse_args()
    try:
        with Client.connect(args.profile, role="trader") as client:
            reply = client.set_limit(
                args.limit, args.value, level="strategy", name=args.strategy, reason="script"
            )
            reply.raise_for_outcome()  # a refusal is no error until we say that it is one
            client.enable_strategy(args.strategy, reason="script").raise_for_outcome()
            print(f"{args.strategy} is enabled, {args.limit} is {args.value}")
    except ClientError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, EngineUnreachable) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
