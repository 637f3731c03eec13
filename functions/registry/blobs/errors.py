"""What can go wrong with the bucket, whatever library noticed it."""


class BlobStoreUnavailable(Exception):
    """The store can't be reached, or can't do it now. Trying again later may work."""


class ObjectMissing(Exception):
    """There is no object of that name."""
