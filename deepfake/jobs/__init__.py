"""Run the same work on many videos: in processes, as Spark tasks, or as shards of a queue."""
