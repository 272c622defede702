"""The HTTP service: bytes in, colour photo out."""
