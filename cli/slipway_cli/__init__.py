"""`slipway`: the command line of the registry, a client of its HTTP API."""

VERSION = "0.1.0"
