"""Print every signal of the running engine, until Ctrl+C.

    python examples/print_signals.py --profile paper

A viewer's token is enough: it sees signals and market state, not the account.
Exit codes: 0 ended, 1 the engine does not admit us, 3 no engine answers.
"""

import argparse
import sys

from mmats.client import Client, ClientError, EngineUnreachable


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the signals of the running engine.")
    parser.add_argument("--profile", default="paper", help="dev, paper or live")
    parser.add_argument("--silence", type=float, help="end after so many seconds without a signal")
    args = parser.parse_args()
    try:
        # The client finds the engine's sockets and the viewer's token in the profile's folder.
        with Client.connect(args.profile, role="viewer") as client:
            signals = client.events("signal", timeout_s=args.silence)  # from this moment on
            print(f"run {client.run}, mode {client.mode}", file=sys.stderr)
            for event in signals:
                print(event.value, flush=True)  # a dict; prices and quantities are decimal text
    except KeyboardInterrupt:
        return 0
    except ClientError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, EngineUnreachable) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
