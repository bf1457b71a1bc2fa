"""Every Numba kernel of the house and nothing else.

Imports only numba, numpy, math and siblings, so the room can be lifted out.
"""
