"""One photo's way: options, memory, the queue, batches, the cache, and the stages between."""
