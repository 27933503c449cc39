"""What rests on disk: files that appear whole, the cache, checkpoints, published weights, run folders."""
