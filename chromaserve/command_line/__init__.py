"""The command `chromaserve`."""
