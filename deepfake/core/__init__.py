"""What every other room may use: errors, files, labels, the decision, the rule of crops, the command line."""
