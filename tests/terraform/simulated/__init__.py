"""A provider that simulates: it has the real providers' schemas and talks to no cloud.

Terraform itself is real. What it asks a provider (plugin protocol 6) is answered from schemas that were taken from the
real providers' published bindings: so names, types and required arguments are checked as they would be. What only the
real provider or the cloud knows is checked as far as rules.py repeats it.
"""
