"""Crops as rows of Parquet files instead of a file each: what a Spark cluster writes, on any filesystem it reads.

A folder of crops, at a path or an address such as s3a://bucket/crops, holds

    kind=crop/*.parquet     a row a crop: columns of CROP_COLUMNS and the PNG's bytes
    kind=video/*.parquet    a row a video: columns of VIDEO_COLUMNS
"""

import pyarrow as pa

# as in faces.json: `frame` counts the frames that were taken and `face` those of a frame (FFF and NN of a crop's name),
# `index` is the frame's number in the video, boxes and landmarks are in pixels of the standard frame
CROP_COLUMNS = {
    "frame": pa.int32(),
    "face": pa.int32(),
    "index": pa.int32(),
    "time": pa.float64(),  # seconds
    "scale": pa.float64(),
    "box": pa.list_(pa.int32()),  # x, y, width, height
    "crop": pa.list_(pa.int32()),  # the same with the margin
    "landmarks": pa.list_(pa.int32()),  # x, y five times, in the order of faces.LANDMARKS
    "confidence": pa.float64(),
    "rescued": pa.bool_(),
    "person": pa.string(),
    "png": pa.binary(),
}
# what faces.json says of the video itself and of how it was made
VIDEO_COLUMNS = {
    "file": pa.string(),
    "size": pa.int64(),  # bytes
    "modified": pa.int64(),  # nanoseconds
    "frames": pa.int32(),
    "options": pa.string(),  # as JSON
    "count": pa.int32(),  # crops
    "problem": pa.string(),  # null: none
}
# one table for both, so that one job writes a video's crops and what became of it together or not at all
SCHEMA = pa.schema({"kind": pa.string(), "video": pa.string(), **CROP_COLUMNS, **VIDEO_COLUMNS})
