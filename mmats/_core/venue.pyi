"""The venue port: where the pipeline sends orders, and where reports come back from."""

class VenuePort:
    """Base class of everything that takes orders; used from compiled code only."""
