"""A fake Pub/Sub: the real gRPC surface over queues in memory, on loopback, for tests and one machine.

The unmodified Google clients find it through `PUBSUB_EMULATOR_HOST`. It keeps to: topics, subscriptions,
publish, pull, streaming pull, acknowledgements and their deadlines, push (wrapped, unwrapped, and with the
headers Eventarc adds), retry policies, dead letters, and filters. Push endpoints must be on loopback: nothing
here ever reaches out.

It leaves out: ordering holds (an ordering key is only carried), exactly-once delivery, flow control by the
server, seek, snapshots, schemas, IAM, `OR` and parentheses in filters, and persistence.

At-least-once delivery is made visible by the knobs of `Delivery`: duplicates, reordering and losses, seeded.
"""

from local.pubsub.delivery import Delivery
from local.pubsub.server import FakePubSub

__all__ = ["Delivery", "FakePubSub"]
