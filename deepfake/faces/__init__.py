"""Steps 01a and 01b: find the faces in frames, join them to people, and cut crops."""
