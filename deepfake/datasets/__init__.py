"""Which videos there are, and what is known of each: a module for each kind of dataset."""
