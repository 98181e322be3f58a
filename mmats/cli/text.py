"""Text of others on our terminal: names, reasons and venue messages are not ours to trust."""


def printable(text: object) -> str:
    """Return the text with control, direction and other invisible characters as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in str(text)
    )
