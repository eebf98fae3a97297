"""The same work on many videos: in processes, as tasks of Spark, as shards of a queue."""
