"""Folders and object stores too large for one machine, colorized by Ray Data."""
