"""The state that decides what happens next, as bytes that are restored exactly."""

from typing import Any, final

from numpy.typing import NDArray

from mmats._core.execution import ExecutionPort
from mmats._core.pipeline import Pipeline

class ImageError(ValueError):
    """An image that can't be restored; nothing was changed."""

    message: str
    """What is wrong."""
    where: str
    """Part of the image."""
    hint: str
    """What to do."""

    def __init__(self, message: str, where: str, hint: str = ...) -> None: ...

def read_image(data: bytes) -> NDArray[Any]:
    """Return an image as an array of one `image_dtype` record, a copy that may be written to.

    Raises ImageError where it is no image of this layout; its checksum is not looked at.
    """

def seal_image(image: NDArray[Any]) -> bytes:
    """Return the bytes of what `read_image` gave, with the checksum they must have."""

@final
class StateImage:
    """Takes and restores the image of one pipeline.

    Make it when all strategies are registered. `port` is the execution port of the pipeline where
    it has one. Raises TypeError where the journal is no `RingJournal`, ValueError where strategies
    are missing.
    """

    def __init__(self, pipeline: Pipeline, port: ExecutionPort | None = None) -> None: ...
    def to_bytes(self) -> bytes:
        """Return the state; a whole number of pages of 1024 bytes."""
    def restore(self, data: bytes) -> None:
        """Take over the state of a pipeline of the same configuration, before the first event.

        Raises ImageError for anything that is not such an image, and then changes nothing. What
        `set_advisory`, `set_sizing` and `set_reserve` said is not in the image and stays.
        """
