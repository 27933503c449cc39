"""Readers of image files, archives, arrays and tables of labels; each returns a `Collection`."""
