"""Image files, archives and arrays, decoded to what every source becomes: a collection."""
