"""The drill: a registry is used, destroyed, and brought back as docs/operations.md says; nothing may be lost."""
