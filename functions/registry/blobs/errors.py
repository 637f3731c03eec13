"""What can go wrong with the bucket, whatever library noticed it."""


class BlobStoreUnavailable(Exception):
    """The store can't be reached, or can't do it now. Trying again later may work."""


class StoreBusy(BlobStoreUnavailable):
    """It was too much at once, or it has trouble of its own: less may work."""


class AccessRefused(BlobStoreUnavailable):
    """A right is missing: nothing works until somebody gives it."""


class ObjectMissing(Exception):
    """There is no object of that name."""
