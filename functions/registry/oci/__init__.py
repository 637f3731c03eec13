"""What the OCI specifications define, as types: pure, standard library only, no I/O.

A request is parsed whole into these types before anything is touched.
"""
