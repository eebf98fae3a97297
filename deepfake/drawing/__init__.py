"""Drawing of people, and of people with the face of another, into the frames of sample videos."""
