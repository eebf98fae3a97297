"""Steps 01a and 01b: from frames to crops of faces, and to people."""
