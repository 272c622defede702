"""Lightness and colours as arrays: Lab, gamut, from the network's size to the photo's, hints."""
