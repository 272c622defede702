"""Colorize photos, here or on a server: what other programs import."""
