"""Readers of images, one file a kind of source."""
