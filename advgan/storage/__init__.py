"""Files on disk: atomic writing, the cache, checkpoints, published weights, run folders."""
