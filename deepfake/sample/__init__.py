"""Draw the sample dataset: videos of drawn people, and fakes of them."""
