"""A journal that was set back: clients have seen more of it than there is."""

from pathlib import Path

import orjson

from mmats.ports.journal import Head


def rollback(anchors: Path, head: Head) -> str:
    """Return what is wrong with the end of a journal, beside the heads that clients kept; or "".

    Parameters
    ----------
    anchors : JSON lines with size and hash; lines that are none are passed over
    head : of the journal as it was opened
    """
    try:
        lines = anchors.read_bytes().splitlines()
    except OSError:
        return ""
    for line in lines:
        try:
            seen = orjson.loads(line)
            size, digest = int(seen["size"]), str(seen["hash"])
        except (ValueError, KeyError, TypeError):
            continue
        if size > head.size or (size == head.size and digest != head.hash):
            return (
                f"the journal was set back: it has {head.size} entries, and a client saw entry "
                f"{size} of another one"
            )
    return ""
