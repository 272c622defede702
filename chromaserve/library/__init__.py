"""Colorizing inside a program of one's own: the service's pipeline without HTTP."""
